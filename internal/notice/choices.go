package notice

// Choices are those of the reader of a mail among the notices that readers can stop.
type Choices struct {
	Topic     Scope    // of the mail
	Languages []string // BCP 47: the reader's own, then the one that the mail was in; "" where none is known
	Stopped   []Scope  // topics that the reader has stopped
	Barred    []Scope  // topics that somebody else has stopped for this mailbox: the reader can't resume them
}
