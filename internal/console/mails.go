package console

import (
	"net/http"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

const (
	mailsPage = 100
	farMails  = 20_000 // through so many a page looks for mails in a language
)

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

	tables notice.Report // all of the notice by language and state; its AsOf is zero while it is being counted
}

// Tags are the languages to pick from, also those in which nobody has a mail.
func (v *mailsView) Tags() []string {
	if v.tables.AsOf.IsZero() {
		return sorted(v.Notice.ByLanguage)
	}
	return sorted(v.tables.ByLanguage)
}

// Among is how many recipients the list has in a language and a state, as it is read: "" = all of them. It says nothing while they are being counted.
func (v *mailsView) Among(language, state string) string {
	switch {
	case language == "" && state == "":
		return v.N(v.Notice.Recipients)
	case language == "":
		return v.N(v.Notice.Counts[state])
	case v.tables.AsOf.IsZero():
		return ""
	case state != "":
		return v.N(v.tables.ByLanguage[language][state])
	}
	n := 0
	for _, more := range v.tables.ByLanguage[language] {
		n += more
	}
	return v.N(n)
}

func (c *Console) mails(r *http.Request) (view, error) {
	v := &mailsView{Frame: c.frame(r, "mails.title"), State: r.FormValue("state"), Spoken: r.FormValue("language"),
		Text: strings.TrimSpace(r.PostFormValue("text"))}
	page := notice.DeliveryPage{After: -1, Limit: mailsPage + 1, Search: v.Text, Language: v.Spoken, Within: farMails}
	report, tables, err := c.reported(r)
	if err != nil {
		return nil, err
	}
	v.Notice, v.tables = report.Notices[0], tables
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
