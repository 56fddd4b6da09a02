package console

import (
	"net/http"

	"tocsin/internal/notice"
)

const noticesPage = 50

// homeView is the list of notices.
type homeView struct {
	*Frame
	Notices []noticeRow
	Next    int64 // the number to go on before; 0 = there are no more
}

// noticeRow is a notice with its bar of states.
type noticeRow struct {
	notice.Status
	Bar []slice
}

// Open is how many mails are still to end.
func (n noticeRow) Open() int {
	return n.Counts["queued"] + n.Counts["sending"] + n.Counts["deferred"]
}

// Missed is how many recipients were not reached for certain, as the report counts them.
func (n noticeRow) Missed() int {
	return n.Counts["failed"] + n.Counts["bounced"] + n.Counts["suppressed"] + n.Counts["cancelled"]
}

// slice is a part of a bar that is 1,000 wide.
type slice struct {
	State string
	N     int
	X, W  float64
}

// bar are the states of mails as parts of a bar.
func bar(counts map[string]int, recipients int) (all []slice) {
	if recipients == 0 {
		return nil
	}
	x := 0.0
	for _, s := range shownFirst {
		if n := counts[s.String()]; n > 0 {
			w := 1000 * float64(n) / float64(recipients)
			all = append(all, slice{s.String(), n, x, w})
			x += w
		}
	}
	return all
}

// shownFirst is the order of states in a bar and in tables: those that ended well, those to come, those that did not.
var shownFirst = []notice.DeliveryState{notice.DeliverySent, notice.DeliverySending, notice.DeliveryQueued, notice.DeliveryDeferred, notice.DeliveryUncertain,
	notice.DeliveryFailed, notice.DeliveryBounced, notice.DeliverySuppressed, notice.DeliveryCancelled}

func (c *Console) home(r *http.Request) (view, error) {
	v := &homeView{Frame: c.frame(r, "home.title")}
	all, err := c.Book.Notices(r.Context(), notice.Page{Before: numberIn(r.FormValue("before")), Limit: noticesPage + 1})
	if len(all) > noticesPage {
		all = all[:noticesPage]
		v.Next = all[noticesPage-1].Number
	}
	for _, st := range all {
		v.Notices = append(v.Notices, noticeRow{st, bar(st.Counts, st.Recipients)})
	}
	return v, err
}
