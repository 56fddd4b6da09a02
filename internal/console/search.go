package console

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/queue"
)

// searchView is the page that finds customers, and what they were told. The text comes in the body of a request: an address in
// a URL would end in the logs of proxies.
type searchView struct {
	*Frame
	Text      string
	Asked     bool
	Customers []notice.Customer
	History   []notice.HistoryEntry
}

func (c *Console) search(r *http.Request) (view, error) {
	v := &searchView{Frame: c.frame(r, "search.title"), Text: strings.TrimSpace(r.PostFormValue("text"))}
	if v.Asked = v.Text != ""; !v.Asked {
		return v, nil
	}
	if len(v.Text) > 1000 {
		return nil, notice.Invalid("text", "is longer than 1,000 bytes")
	}
	people := notice.CustomerPage{Limit: 100, Text: audience.CanonicalID(v.Text)}
	if a, err := audience.ParseAddress(v.Text); err == nil {
		people.Text, people.AddressKey = "", a.Key()
	}
	var err error
	if v.Customers, err = c.Book.Customers(r.Context(), people); err != nil {
		return nil, err
	}
	who := v.Text
	if len(v.Customers) == 1 && people.AddressKey == "" {
		who = v.Customers[0].ID
	}
	v.History, err = c.Book.History(r.Context(), who, people.AddressKey)
	if notice.CodeOf(err) == notice.CodeNotFound {
		err = nil
	}
	return v, err
}

// actsView is the log of who did what.
type actsView struct {
	*Frame
	Page notice.ActPage
	Day  string // Page.Since as the form has it
	Acts []notice.Act
	Next int64
}

const actsPage = 100

func (c *Console) acts(r *http.Request) (view, error) {
	v := &actsView{Frame: c.frame(r, "acts.title"), Day: r.FormValue("since")}
	v.Page = notice.ActPage{Notice: r.FormValue("notice"), Who: r.FormValue("who"), What: r.FormValue("what"), Limit: actsPage + 1}
	v.Page.Before = number(r.FormValue("before"))
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
