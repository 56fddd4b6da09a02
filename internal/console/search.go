package console

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/queue"
)

// searchView is the page that answers whether somebody got a notice. The text comes in the body of a request: an address in
// a URL would end in the logs of proxies.
type searchView struct {
	*Frame
	Text  string
	About string // the notice that is asked about; "" = the newest one to the mailbox
	Asked bool
	Found notice.Found
}

func (c *Console) search(r *http.Request) (view, error) {
	v := &searchView{Frame: c.frame(r, "search.title"), Text: strings.TrimSpace(r.PostFormValue("text")), About: strings.TrimSpace(r.PostFormValue("notice"))}
	if v.Asked = v.Text != ""; !v.Asked {
		return v, nil
	}
	if len(v.Text) > 1000 || len(v.About) > 100 {
		return nil, notice.Invalid("text", "is longer than 1,000 bytes, or the notice than 100")
	}
	var err error
	v.Found, err = c.Desk.Look(r.Context(), v.Text, v.About)
	return v, err
}

// Verdict colours the answer: yes, no, wait.
func (v *searchView) Verdict() string {
	switch v.Found.Verdict {
	case notice.VerdictYes:
		return "yes"
	case notice.VerdictNo, notice.VerdictNotInvited, notice.VerdictNoCustomer, notice.VerdictNoNotice:
		return "no"
	}
	return "wait"
}

// actsView is the log of acts.
type actsView struct {
	*Frame
	Page notice.ActPage
	Day  string // Page.Since as the form has it
	Acts []notice.Act
	Next int64
	// Kinds are the acts that there can be, by their names.
	Kinds []actKind
}

// actKind is a kind of act.
type actKind struct{ Code, Text string }

// actKinds are the acts that have a name, by it.
func (f *Frame) actKinds() (all []actKind) {
	for name, text := range f.words {
		if code, ok := strings.CutPrefix(name, "act."); ok {
			all = append(all, actKind{code, text})
		}
	}
	slices.SortFunc(all, func(a, b actKind) int { return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Code, b.Code)) })
	return all
}

const actsPage = 100

func (c *Console) acts(r *http.Request) (view, error) {
	v := &actsView{Frame: c.frame(r, "acts.title"), Day: r.FormValue("since")}
	v.Page = notice.ActPage{Notice: r.FormValue("notice"), Who: r.FormValue("who"), What: r.FormValue("what"), Limit: actsPage + 1}
	v.Kinds = v.actKinds()
	v.Page.Before = numberIn(r.FormValue("before"))
	if day, err := time.ParseInLocation(time.DateOnly, v.Day, v.Zone); err == nil {
		v.Page.Since = day
	}
	var err error
	v.Acts, err = c.Book.Acts(r.Context(), v.Page)
	if len(v.Acts) > actsPage {
		v.Acts = v.Acts[:actsPage]
		v.Next = v.Acts[actsPage-1].Number
	}
	return v, err
}

// queuesView is how full the queues are.
type queuesView struct {
	*Frame
	Queues []queue.Standing
	Away   bool // Redis can't be asked
}

func (c *Console) queues(r *http.Request) (view, error) {
	v := &queuesView{Frame: c.frame(r, "queues.title")}
	if c.Queues == nil {
		return v, nil
	}
	var err error
	v.Queues, err = c.Queues(r.Context())
	v.Away = err != nil // the page says so; the rest of Tocsin goes on
	return v, nil
}

// sorted are the keys of a map, in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
