package console

import (
	"net/http"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

const (
	noticesPage = 50
	mailsPage   = 100
	farMails    = 20_000 // through so many a page looks for mails in a language
)

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

// mailsView is a page of a notice's deliveries.
type mailsView struct {
	*Frame
	Notice notice.Status
	States []string
	State  string // "" = all
	Text   string // an address or an id that was looked for; "" = all
	Spoken string // the language of the mails; "" = all
	Mails  []notice.Delivery
	Next   int  // the seq to go on after; 0 = there are no more
	Far    bool // the next mails may be far away: the page looked through farMails without finding enough of them
}

func (c *Console) mails(r *http.Request) (view, error) {
	v := &mailsView{Frame: c.frame(r, "mails.title"), State: r.FormValue("state"), Spoken: r.FormValue("language"),
		Text: strings.TrimSpace(r.PostFormValue("text"))}
	page := notice.DeliveryPage{After: -1, Limit: mailsPage + 1, Search: v.Text, Language: v.Spoken, Within: farMails}
	var err error
	if v.Notice, err = c.Book.Status(r.Context(), r.PathValue("id")); err != nil {
		return nil, err
	}
	if v.State != "" {
		state, err := notice.ParseDeliveryState(v.State)
		if err != nil {
			return nil, err
		}
		page.State = &state
	}
	if after, err := strconv.Atoi(r.FormValue("after")); err == nil {
		page.After = after
	}
	for _, s := range shownFirst {
		v.States = append(v.States, s.String())
	}
	v.Title = v.T("mails.of", v.Notice.Key)
	v.Mails, err = c.Book.Deliveries(r.Context(), v.Notice.Number, page)
	switch looked := page.After + farMails; {
	case len(v.Mails) > mailsPage:
		v.Mails = v.Mails[:mailsPage]
		v.Next = v.Mails[mailsPage-1].Seq
	case v.Spoken != "" && v.Text == "" && looked < v.Notice.Recipients-1:
		v.Next, v.Far = looked, true
	}
	return v, err
}
