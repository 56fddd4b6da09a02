package notice

import "testing"

func TestAMailIsUnfitWhereNoRelayTakesIt(t *testing.T) {
	t.Parallel()
	utf8, small, unlimited := Offer{Known: true, SMTPUTF8: true, MaxSize: 100}, Offer{Known: true, MaxSize: 1000}, Offer{Known: true}
	for name, c := range map[string]struct {
		offers        []Offer
		international bool
		size          int
		want          Unfit
	}{
		"plain":                               {[]Offer{small}, false, 1000, Unfit{}},
		"too large":                           {[]Offer{small}, false, 1001, Unfit{Size: 1}},
		"too large for one of two":            {[]Offer{utf8, small}, false, 1000, Unfit{}},
		"no limit":                            {[]Offer{utf8, unlimited}, false, 1 << 30, Unfit{}},
		"international":                       {[]Offer{small, unlimited}, true, 1, Unfit{SMTPUTF8: 1}},
		"international, and one takes it":     {[]Offer{small, utf8}, true, 100, Unfit{}},
		"too large for the international one": {[]Offer{unlimited, utf8}, true, 101, Unfit{Size: 1}},
		"one that could not be asked":         {[]Offer{small, {}}, true, 1 << 30, Unfit{}},
	} {
		got := Unfit{Offers: c.offers}
		if got.Add(c.international, c.size); got.Size != c.want.Size || got.SMTPUTF8 != c.want.SMTPUTF8 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if least := (&Unfit{Offers: []Offer{unlimited, small, utf8, {MaxSize: 1}}}).Least(); least != 100 {
		t.Errorf("the least is %d", least)
	}
}
