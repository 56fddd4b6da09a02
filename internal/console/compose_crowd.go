package console

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// crowdView is the audience of a draft at a glance.
type crowdView struct {
	notice.Crowd
	Given bool   // the draft says who is told
	Wrong string // why it can't be counted
}

// count counts the audience of a draft for its page.
func (c *Console) count(r *http.Request, v *composeView) {
	v.Crowd = &crowdView{}
	body, err := directory.ReadAudience(directory.Files(v.Draft.Files).FS())
	if err == nil && body.Audience.Given() {
		v.Crowd.Given = true
		v.Crowd.Crowd, err = c.Desk.Crowd(r.Context(), body)
	}
	if e, ok := errors.AsType[*notice.Error](err); ok {
		v.Crowd.Wrong = strings.TrimPrefix(e.Message, " ")
	} else if err != nil {
		v.Crowd.Wrong = v.T("error.away")
		c.Log.Error("an audience can't be counted", slog.Any("error", err))
	}
}

// crowd answers with the parts of a draft's page that say how large its audience is, and which time it has in the windows.
func (c *Console) crowd(w http.ResponseWriter, r *http.Request) {
	s, err := c.savedDraft(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := &composeView{Frame: c.frame(r, "compose.title"), Draft: s}
	v.find(nil)
	c.count(r, v)
	var html bytes.Buffer
	for _, part := range []string{"crowd", "clocks"} {
		if err := c.pages["compose"].ExecuteTemplate(&html, part, v); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = html.WriteTo(w) // fails only if the reader has gone
}

// Counted says how many customers are told, "" before they are counted.
func (v *composeView) Counted() string {
	switch c := v.Crowd; {
	case c == nil || !c.Given || c.Wrong != "":
		return ""
	case c.More && c.Customers == 0:
		return v.T("crowd.later")
	case c.More:
		return v.T("crowd.more", v.N(c.Customers))
	case c.NoMailbox > 0:
		return v.T("crowd.all", v.N(c.Customers)) + " " + v.T("crowd.no_mailbox", v.N(c.NoMailbox))
	default:
		return v.T("crowd.all", v.N(c.Customers))
	}
}

// Shared are the most frequent languages of the audience.
func (v *composeView) Shared() (all []numbered) {
	if v.Crowd == nil {
		return nil
	}
	for _, s := range v.Crowd.Languages {
		name := v.Language(s.Name)
		if s.Name == "" {
			name = v.T("crowd.no_language")
		}
		all = append(all, numbered{name, s.N})
	}
	return all
}

// clock is a window as it is in a zone of the audience.
type clock struct {
	Window   int
	Zone     string
	From, To string
	N        int
}

// Clocks are the windows of the draft in the zones of most of its audience.
func (v *composeView) Clocks() (all []clock) {
	if v.Crowd == nil {
		return nil
	}
	for i, w := range v.Sheet.Windows {
		start, end, err := w.Span(v.Sheet.Plain["zone"])
		if err != nil {
			continue
		}
		for _, s := range v.Crowd.Zones {
			zone, err := notice.LoadZone(s.Name)
			if err != nil || s.Name == "" {
				continue
			}
			all = append(all, clock{i + 1, s.Name, inZone(start, zone), inZone(end, zone), s.N})
		}
	}
	return all
}

func inZone(t time.Time, zone *time.Location) string { return t.In(zone).Format("2006-01-02 15:04") }

// conditionRow is a condition of the audience's filter in the form.
type conditionRow struct {
	*Frame
	directory.Condition
	Number int
	ID     string
	Ops    []option
}

// builder is the filter of the audience as conditions.
type builder struct {
	*Frame
	Rows []conditionRow
	Join []option
	Text bool // the filter says more than conditions can
}

// Builder takes the filter of the audience apart, and has one more condition to fill in.
func (v *composeView) Builder() (b builder) {
	b.Frame = v.Frame
	text := v.Sheet.Audience.Filter
	if text == notice.Everybody {
		text = ""
	}
	all, any, ok := directory.Conditions(text)
	if b.Text = !ok; b.Text {
		return b
	}
	joined := "all"
	if any {
		joined = "any"
	}
	b.Join = pick(v.wordsOf("join", "", "all", "any"), joined)
	for i, c := range append(all, directory.Condition{Op: "="}) {
		row := conditionRow{Frame: v.Frame, Condition: c, Number: i + 1, ID: "condition-" + strconv.Itoa(i)}
		row.Ops = pick(v.wordsOf("op", "", directory.ConditionOps...), c.Op)
		b.Rows = append(b.Rows, row)
	}
	return b
}

// filterIn is the filter as a form leaves it: as its conditions say where these were changed, else as its text does. base is the filter that the form
// was made of.
func filterIn(was string, form map[string][]string) string {
	get := func(name string) string {
		if len(form[name]) == 0 {
			return ""
		}
		return form[name][0]
	}
	text, there := get("filter"), len(form["filter"]) > 0
	if !there {
		text = was
	}
	fields, ops, values := form["condition-field"], form["condition-op"], form["condition-value"]
	if len(fields) == 0 || len(fields) != len(ops) || len(fields) != len(values) {
		return text
	}
	base := strings.TrimSpace(unixLines(get("filter-base")))
	if strings.TrimSpace(unixLines(text)) != base {
		return text
	}
	var rows []directory.Condition
	for i := range fields {
		rows = append(rows, directory.Condition{Field: fields[i], Op: ops[i], Value: values[i]})
	}
	before, any, ok := directory.Conditions(base)
	is := directory.FilterOf(rows, get("condition-join") == "any")
	if !ok || is == directory.FilterOf(before, any) {
		return text
	}
	return is
}
