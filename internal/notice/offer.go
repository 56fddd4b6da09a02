package notice

// Offer is by which extensions a relay takes some mails and not others.
type Offer struct {
	Relay    string `json:"relay"`
	Known    bool   `json:"known"`           // it was told once
	SMTPUTF8 bool   `json:"smtputf8"`        // it takes addresses beyond ASCII (RFC 6531)
	MaxSize  int    `json:"max_size"`        // bytes of the largest mail that it takes (RFC 1870); 0 = it names none
	Error    string `json:"error,omitempty"` // why it could not be asked just now
}

// Unfit counts the mails of a plan that no relay takes, by the extension that they need. They would fail.
type Unfit struct {
	SMTPUTF8 int     `json:"smtputf8"` // their address is not ASCII
	Size     int     `json:"size"`     // they are too large
	Offers   []Offer `json:"offers"`   // of the relays, by which they were counted; one that is not known counts as one that takes all
}

// take reports whether some relay may take a mail, by its size in bytes and whether its addresses are beyond ASCII.
func (u *Unfit) take(international bool, size int) bool {
	for _, o := range u.Offers {
		if !o.Known || (o.SMTPUTF8 || !international) && (o.MaxSize == 0 || size <= o.MaxSize) {
			return true
		}
	}
	return false
}

// Add counts a mail that no relay takes; international says that its addresses are beyond ASCII, size is in bytes.
func (u *Unfit) Add(international bool, size int) {
	switch {
	case u.take(international, size):
	case u.take(international, 0):
		u.Size++
	default:
		u.SMTPUTF8++
	}
}

// Least is the size in bytes of the largest mail that every relay takes; 0 = none names one.
func (u *Unfit) Least() (least int) {
	for _, o := range u.Offers {
		if o.Known && o.MaxSize > 0 && (least == 0 || o.MaxSize < least) {
			least = o.MaxSize
		}
	}
	return least
}
