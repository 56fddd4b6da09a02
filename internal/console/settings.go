package console

import (
	"net/http"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// settingsView is how sending is set up: relays, limits, holds, workers. It changes nothing.
type settingsView struct {
	*Frame
	Relays []relayRow
	Limits []notice.DomainLimit
	Holds  []notice.Hold
	Pace   *notice.Pace // nil: nothing is known of workers
}

// relayRow is a relay, with how each worker finds it.
type relayRow struct {
	notice.Relay
	States []notice.RelayHealth
}

func (c *Console) settings(r *http.Request) (view, error) {
	ctx, v := r.Context(), &settingsView{Frame: c.frame(r, "settings.title")}
	relays, err := c.Book.Relays(ctx)
	if err != nil {
		return nil, err
	}
	set, err := c.Book.Limits(ctx)
	if err != nil {
		return nil, err
	}
	if v.Holds, err = c.Book.Holds(ctx); err != nil {
		return nil, err
	}
	if c.Pace != nil {
		if v.Pace, err = c.Pace(ctx); err != nil {
			return nil, err
		}
	}
	var known notice.Pace
	if v.Pace != nil {
		known = *v.Pace
	}
	v.Limits = notice.JoinLimits(set, known.Files, known.Learnt)
	for _, relay := range relays {
		row := relayRow{Relay: relay}
		for _, q := range known.Quotas {
			if q.Relay == relay.Name {
				row.Quota = &q
			}
		}
		for _, h := range known.Relays {
			if h.Relay == relay.Name {
				row.States = append(row.States, h)
			}
		}
		v.Relays = append(v.Relays, row)
	}
	return v, nil
}

// Source says where a limit comes from.
func (v *settingsView) Source(l notice.DomainLimit) string {
	text := v.T("limit." + l.Of)
	switch {
	case l.By != "":
		text += ", " + l.By
	case l.Relay != "":
		text += ", " + l.Relay
	}
	if l.Until != nil {
		text += ", " + v.T("detail.until", v.At(*l.Until))
	}
	return text
}

// suppressionsView is the list of suppressions.
type suppressionsView struct {
	*Frame
	Entries []notice.Suppression
	Scopes  []notice.Scope
	Text    string // an address that was looked for
	Next    int64  // the number to go on after; 0 = there are no more
}

// suppressionsPage is how many entries a page has.
const suppressionsPage = 50

func (c *Console) suppressions(r *http.Request) (view, error) {
	v := &suppressionsView{Frame: c.frame(r, "suppressions.title"), Scopes: notice.Scopes, Text: strings.TrimSpace(r.PostFormValue("text"))}
	if v.Text != "" {
		row, err := c.Desk.Suppressing(v.Text, "", notice.ScopeAll)
		if err != nil {
			return nil, err
		}
		v.Entries, err = c.Book.SuppressionsOf(r.Context(), row.Key)
		return v, err
	}
	all, err := c.Book.Suppressions(r.Context(), numberIn(r.FormValue("after")), suppressionsPage+1)
	if len(all) > suppressionsPage {
		all = all[:suppressionsPage]
		v.Next = all[suppressionsPage-1].Number
	}
	v.Entries = all
	return v, err
}

// suppress puts an address, or a domain, on the list.
func (c *Console) suppress(w http.ResponseWriter, r *http.Request) {
	who, _ := notice.Pressed(r.Context())
	row, err := c.Desk.Suppressing(r.PostFormValue("address"), strings.TrimSpace(r.PostFormValue("reason")), notice.Scope(r.PostFormValue("scope")))
	if err == nil {
		_, _, err = c.Book.Suppress(r.Context(), row, who)
	}
	c.back(w, r, "/suppressions", err)
}

// unsuppress takes an entry off the list.
func (c *Console) unsuppress(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseInt(r.PathValue("number"), 10, 64)
	if err != nil {
		err = notice.NotFound("it is not on the list of suppressions")
	} else {
		err = c.Book.UnsuppressNumber(r.Context(), number)
	}
	c.back(w, r, "/suppressions", err)
}

// back shows a page again after an act, or why that was refused.
func (c *Console) back(w http.ResponseWriter, r *http.Request, page string, err error) {
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, page, http.StatusSeeOther)
}

// templatesView is the ready texts and their languages; with a template, an example of it.
type templatesView struct {
	*Frame
	Library  notice.Library
	Template string // of the example; "" = none is shown
	Phase    string
	Tag      string // of its language
	Example  shownSample
	Signed   string // as of LibraryLanguage
}

func (c *Console) templates(r *http.Request) (view, error) {
	return &templatesView{Frame: c.frame(r, "templates.title"), Library: c.Desk.Library()}, nil
}

// example shows a ready text as a mail.
func (c *Console) example(w http.ResponseWriter, r *http.Request) {
	v := &templatesView{Frame: c.frame(r, "templates.title"), Library: c.Desk.Library(),
		Template: r.FormValue("template"), Phase: r.FormValue("phase"), Tag: r.FormValue("language")}
	sample, err := c.Desk.Example(v.Template, v.Phase, v.Tag)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for _, l := range v.Library.Languages {
		if l.Tag == v.Tag {
			v.Signed = l.Signed
		}
	}
	document, styles := framed(sample.HTML)
	v.Example = shownSample{sample, document}
	w.Header().Set("Content-Security-Policy", policyWith(styles))
	c.render(w, r, http.StatusOK, "templates", v)
}
