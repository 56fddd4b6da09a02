package console

import (
	"cmp"
	"fmt"
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
	return navigation{path, f.T(name), f.Path == path || path == "/" && strings.HasPrefix(f.Path, "/notices") ||
		path == "/settings" && (strings.HasPrefix(f.Path, "/templates") || strings.HasPrefix(f.Path, "/suppressions")) || path == "/compose" && strings.HasPrefix(f.Path, "/compose/")}
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

// languages are those of the console, the first one in the place of all others.
var languages = []language.Tag{language.English, language.German, language.Dutch, language.French, language.Spanish}
