package notice

// Adding asks for a further mail of a released notice, to another address of a customer who stands on it.
type Adding struct {
	Customer string `json:"customer"` // external id
	Address  string `json:"address"`
}

// Added is the row that an Adding has made, or had made before.
type Added struct {
	Number  int64         `json:"number"` // of the notice
	Key     string        `json:"key"`    // of the notice
	Seq     int           `json:"seq"`    // of the row
	Of      int           `json:"of"`     // the customer's own row
	State   DeliveryState `json:"state"`
	Answer  string        `json:"answer"`  // whether the mail arrived, with times in UTC
	Created bool          `json:"created"` // by this call
}

// ReasonAdded is the reason of a delivery that an operator added to a released notice, where there is no other.
const ReasonAdded = "added"
