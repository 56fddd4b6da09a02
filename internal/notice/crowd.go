package notice

// Crowd is an audience at a glance, as it is counted while a notice is written.
type Crowd struct {
	Customers int
	More      bool // at least so many: counting all would take too long
	NoMailbox int  // of them, without an address
	// Zones and Languages are the most frequent ones, the first of all first. "" is that of customers without one.
	Zones, Languages []Share
	Attributes       []string // of all customers
}

// Share is how many customers have a value.
type Share struct {
	Name string
	N    int
}
