package notice

// Sampling says which mail of a body is to be shown while it is written.
type Sampling struct {
	Language string // BCP 47: of the text; "" = that which the customer gets
	Customer string // an id or an address; "" = one of the audience
	Skip     int    // so many customers of the audience come before the one that is shown
}
