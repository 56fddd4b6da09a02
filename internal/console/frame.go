package console

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tocsin/internal/notice"
)

// Frame is the part of each view that the layout needs, and the words and forms of the reader.
type Frame struct {
	Title   string
	Path    string
	Lang    string // of the page
	Person  person
	Version string
	Zone    *time.Location // of the reader
	Now     time.Time
	words   map[string]string
	print   *message.Printer
}

// zoneCookie holds the reader's time zone; the script sets it.
const zoneCookie = "tocsin_zone"

func (c *Console) frame(r *http.Request, title string) *Frame {
	tag, lang := c.words.match(r.Header.Get("Accept-Language"))
	f := &Frame{Path: r.URL.Path, Lang: lang, Person: personOf(r), Version: c.Version, Zone: time.UTC, Now: time.Now(),
		words: c.words.of[lang], print: message.NewPrinter(tag)}
	if cookie, err := r.Cookie(zoneCookie); err == nil {
		if zone, err := notice.LoadZone(cookie.Value); err == nil {
			f.Zone = zone
		}
	}
	f.Title = f.T(title)
	return f
}

// navigation is an entry of the main navigation.
type navigation struct {
	Path, Text string
	Current    bool
}

// Nav is an entry of the main navigation.
func (f *Frame) Nav(path, name string) navigation {
	return navigation{path, f.T(name), f.Path == path || path == "/" && strings.HasPrefix(f.Path, "/notices")}
}

// T is the text of that name in the reader's language.
func (f *Frame) T(name string, args ...any) string {
	if f == nil {
		return name
	}
	text := cmp.Or(f.words[name], name)
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// N is a number as the reader writes it.
func (f *Frame) N(n any) string {
	if f == nil || f.print == nil {
		return fmt.Sprint(n)
	}
	return f.print.Sprint(n)
}

// State is the name of a state of a notice or of a delivery.
func (f *Frame) State(s any) string { return f.T("state." + fmt.Sprint(s)) }

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
	past := d >= 0
	d = d.Abs()
	text := ""
	switch {
	case d < 10*time.Second:
		return f.T("time.now")
	case d < time.Minute:
		text = f.T("time.s", int(d.Seconds()))
	case d < time.Hour:
		text = f.T("time.min", int(d.Minutes()))
	case d < 48*time.Hour:
		text = f.T("time.h", int(d.Hours()))
	default:
		text = f.T("time.d", int(d.Hours()/24))
	}
	if past {
		return f.T("time.ago", text)
	}
	return f.T("time.in", text)
}

// languages are those of the console, the first one in the place of all others.
var languages = []language.Tag{language.English, language.German, language.Dutch, language.French, language.Spanish}
