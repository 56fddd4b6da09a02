package console

import (
	"cmp"
	"fmt"
	"html/template"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
	"golang.org/x/text/number"

	"tocsin/internal/notice"
)

// term is the text of a code of that kind, the code itself where it has none.
func (f *Frame) term(kind, code string) string {
	if f == nil || code == "" {
		return code
	}
	return cmp.Or(f.words[kind+"."+code], code)
}

// State is the name of a state of a notice or of a delivery.
func (f *Frame) State(s any) string { return f.term("state", fmt.Sprint(s)) }

// Phase is the name of a phase of an incident.
func (f *Frame) Phase(phase string) string { return f.term("phase", phase) }

// Reason says in words why a mail, or a notice, is in its state. Several reasons are separated by commas; the words of a person stay.
func (f *Frame) Reason(reason string) string {
	if notice.StoppedCanary(reason) { // its numbers stand on the page of the notice
		return f.T("reason.canary_stopped")
	}
	all := strings.Split(reason, ", ")
	for i, one := range all {
		if refused, ok := strings.CutPrefix(one, notice.ReasonRefused); ok {
			all[i] = f.T("reason.refused") + " " + refused
			continue
		}
		if all[i] = f.term("reason", one); all[i] == one {
			all[i] = f.term("bounce", one)
		}
	}
	return strings.Join(all, ", ")
}

// List is several things, one after the other.
func (f *Frame) List(all []string) string { return strings.Join(all, ", ") }

// Act is the name of an act.
func (f *Frame) Act(what string) string { return f.term("act", what) }

// Event is the name of an event of a mail.
func (f *Frame) Event(kind string) string {
	if text := f.term("event", kind); text != kind {
		return text
	}
	return f.State(kind)
}

// Heard says who was part of an event, and their words.
func (f *Frame) Heard(e notice.Event) string {
	code := ""
	if e.SMTPCode != 0 {
		code = fmt.Sprintf("%d %s", e.SMTPCode, e.Enhanced)
	}
	var parts []string
	for _, part := range []string{e.By, strings.TrimSpace(code), f.Reason(e.Text)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " · ")
}

// Language is the name of a language in the reader's own, with its code.
func (f *Frame) Language(code string) string {
	tag, err := language.Parse(code)
	if f == nil || err != nil {
		return code
	}
	own, err := language.Parse(f.Lang)
	if err != nil {
		return code
	}
	if namer := display.Tags(own); namer != nil {
		if name := namer.Name(tag); name != "" {
			return name
		}
	}
	return code
}

// N is a number as the reader writes it.
func (f *Frame) N(n any) string {
	if f == nil || f.print == nil {
		return fmt.Sprint(n)
	}
	return f.print.Sprint(n)
}

// Percent is a share of 100 as the reader writes it.
func (f *Frame) Percent(share float64) string {
	if f == nil || f.print == nil {
		return fmt.Sprint(share)
	}
	return f.print.Sprint(number.Percent(share/100, number.MaxFractionDigits(1)))
}

// When is a time in the reader's zone, and how long ago it is. The script keeps the latter up to date.
func (f *Frame) When(at any) template.HTML {
	var t time.Time
	switch at := at.(type) {
	case time.Time:
		t = at
	case *time.Time:
		if at != nil {
			t = *at
		}
	}
	if t.IsZero() || f == nil || f.Zone == nil {
		return "–"
	}
	t = t.In(f.Zone)
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s <span class="ago">%s</span></time>`, t.UTC().Format(time.RFC3339),
		t.Format("2006-01-02 15:04:05"), template.HTMLEscapeString(f.ago(f.Now.Sub(t)))))
}

// ago says how long ago something was; a negative span is to come.
func (f *Frame) ago(d time.Duration) string {
	switch {
	case d.Abs() < 10*time.Second:
		return f.T("time.now")
	case d > 0:
		return f.T("time.ago", f.Span(d))
	}
	return f.T("time.in", f.Span(-d))
}

// Span is how long something takes.
func (f *Frame) Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return f.T("time.s", int(d.Seconds()))
	case d < time.Hour:
		return f.T("time.min", int(d.Minutes()))
	case d < 48*time.Hour:
		return f.T("time.h", int(d.Hours()))
	}
	return f.T("time.d", int(d.Hours()/24))
}
