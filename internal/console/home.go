package console

import (
	"net/http"
	"strconv"

	"tocsin/internal/notice"
)

const (
	noticesPage = 50
	mailsPage   = 100
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

// Missed is how many recipients were not reached, or not for certain.
func (n noticeRow) Missed() int { return n.Recipients - n.Counts["sent"] - n.Open() }

// slice is a part of a bar that is 1,000 wide.
type slice struct {
	State string
	N     int
	X, W  float64
}

// bar are the states of a notice as parts of a bar.
func bar(st notice.Status) (all []slice) {
	if st.Recipients == 0 {
		return nil
	}
	x := 0.0
	for _, s := range shownFirst {
		if n := st.Counts[s.String()]; n > 0 {
			w := 1000 * float64(n) / float64(st.Recipients)
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
	all, err := c.Book.Notices(r.Context(), notice.Page{Before: number(r.FormValue("before")), Limit: noticesPage + 1})
	if len(all) > noticesPage {
		all = all[:noticesPage]
		v.Next = all[noticesPage-1].Number
	}
	for _, st := range all {
		v.Notices = append(v.Notices, noticeRow{st, bar(st)})
	}
	return v, err
}

// noticeView is the page of a notice.
type noticeView struct {
	*Frame
	Notice    notice.Status
	Bar       []slice
	States    []string // the columns of the table of languages: those that some mail is in
	Languages []languageRow
	Outcomes  []notice.Outcomes
	Bounces   notice.Bounces
	Classes   []string // the columns of the table of domains: those that some mail came back with
	Acts      []notice.Act
}

// languageRow are the mails of a language, by the states of the view.
type languageRow struct {
	Language string
	Counts   []int
	Sum      int
}

func (c *Console) notice(r *http.Request) (view, error) {
	v := &noticeView{Frame: c.frame(r, "notice.title")}
	report, err := c.Book.Report(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	v.Notice = report.Notices[0]
	v.Title = v.Notice.Key
	v.Bar, v.Outcomes = bar(v.Notice), report.Outcomes
	for _, s := range shownFirst {
		if v.Notice.Counts[s.String()] > 0 {
			v.States = append(v.States, s.String())
		}
	}
	v.Bounces = report.Bounces
	for _, class := range notice.BounceClasses {
		if v.Bounces.ByClass[string(class)] > 0 {
			v.Classes = append(v.Classes, string(class))
		}
	}
	for _, lang := range sorted(report.ByLanguage) {
		row := languageRow{Language: lang}
		for _, s := range v.States {
			n := report.ByLanguage[lang][s]
			row.Counts, row.Sum = append(row.Counts, n), row.Sum+n
		}
		v.Languages = append(v.Languages, row)
	}
	v.Acts, err = c.Book.Acts(r.Context(), notice.ActPage{Notice: v.Notice.Key, Limit: 20})
	return v, err
}

// mailsView is a page of a notice's deliveries.
type mailsView struct {
	*Frame
	Notice notice.Status
	States []string
	State  string // "" = all
	Mails  []notice.Delivery
	Next   int // the seq to go on after; 0 = there are no more
}

func (c *Console) mails(r *http.Request) (view, error) {
	v := &mailsView{Frame: c.frame(r, "mails.title"), State: r.FormValue("state")}
	page := notice.DeliveryPage{After: -1, Limit: mailsPage + 1}
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
	if len(v.Mails) > mailsPage {
		v.Mails = v.Mails[:mailsPage]
		v.Next = v.Mails[mailsPage-1].Seq
	}
	return v, err
}
