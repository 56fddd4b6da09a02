package notice

// Amending describes, in the dry run of an amendment, the notice that it stops. The numbers are of that moment; a mailbox that has been sent
// the notice since gets the correction.
type Amending struct {
	Key         string `json:"key"`
	State       State  `json:"state"`
	Plain       int    `json:"plain"`       // mailboxes that get the plain text: no version can have arrived there
	Corrections int    `json:"corrections"` // mailboxes that get the correction: an earlier version arrived, or may have
}

// Together sums up a notice and its amendments. In each of them a mailbox has one row.
type Together struct {
	Keys        []string       `json:"keys"`        // the oldest first
	Corrections int            `json:"corrections"` // mailboxes that the last of them corrects
	Counts      map[string]int `json:"counts"`      // the sum over all of them, each of the nine states
}

// SumUp returns a notice and its amendments together; all are in the order of their numbers.
func SumUp(all []Status, corrections int) *Together {
	t := &Together{Corrections: corrections, Counts: Counts{}.ByName()}
	for _, st := range all {
		t.Keys = append(t.Keys, st.Key)
		for state, n := range st.Counts {
			t.Counts[state] += n
		}
	}
	return t
}
