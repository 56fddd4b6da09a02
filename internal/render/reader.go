package render

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"

	"tocsin/internal/notice"
)

// reader is what a text is executed with: the fields that it may use, and who reads it. Functions that depend on the
// reader get it as their first argument, which vetter puts there, so that the parsed templates are shared.
type reader struct {
	Customer   customer
	Customers  []customer
	Parameters map[string]string
	Windows    []window
	Notice     noticeFields
	Incident   incidentFields
	Language   string

	sites    []site
	format   *format
	loc      *time.Location
	noticeIn *time.Location // the zone of wall-clock times
	rtl      bool
	counters map[int]int // the next number of each ordered list
	pending  string      // the marker of a list item that has no line yet
}

type customer struct {
	ID, Name   string
	Attributes map[string]string
}

type noticeFields struct{ Key, Phase, Severity, Kind string }

type incidentFields struct{ Key string }

// moment is a point in time that prints itself for the reader.
type moment struct{ at time.Time }

// window is a span of time that prints itself for the reader.
type window struct{ Start, End moment }

var templateFuncs = map[string]any{
	"out": out, "raw": raw, "url": urlText, "query": queryText, "number": number, "date": date, "default": fallback,
	"start": start, "item": item, "mark": mark, "marker": marker,
}

// out prints a value in a sentence. It is where a mail with a hole in it stops: printing nothing is an error.
func out(r *reader, at int, v any) (string, error) {
	s, err := raw(r, at, v)
	if err == nil {
		if text, ok := v.(string); ok {
			s = isolate(text, r.rtl)
		}
	}
	return s, err
}

// raw prints a value where no marks of direction may be added: in code, addresses and subjects.
func raw(r *reader, at int, v any) (string, error) {
	switch v := v.(type) {
	case string:
		if v == "" {
			return "", r.hole(at, "is empty")
		}
		return v, nil
	case moment:
		return r.moment(v.at), nil
	case window:
		start, end := v.Start.at.In(r.loc), v.End.at.In(r.loc)
		return r.format.interval(start, end) + " (" + zoneName(start, end) + ")", nil
	case int, int64, float64:
		return number(r, at, v)
	}
	return "", r.hole(at, "cannot be printed")
}

func (r *reader) moment(t time.Time) string {
	t = t.In(r.loc)
	return r.format.moment(t) + " (" + zoneName(t, t) + ")"
}

// urlText prints a value into an address of the text part: what would end the address is escaped.
func urlText(r *reader, at int, v any) (string, error) {
	s, err := raw(r, at, v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^{|}`+"`", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// queryText prints a value into the query of an address of the text part.
func queryText(r *reader, at int, v any) (string, error) {
	s, err := raw(r, at, v)
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), err
}

// number writes a number, or text that is one, as the reader's locale does. Nothing stays nothing, for default.
func number(r *reader, at int, v any) (string, error) {
	s := ""
	switch v := v.(type) {
	case string:
		s = v
	case float64:
		s = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		s = fmt.Sprint(v)
	}
	if s == "" {
		return "", nil
	}
	if !numeric.MatchString(s) {
		return "", r.hole(at, "is not a number")
	}
	return r.format.number(s), nil
}

// date writes a date, or a date and time in the reader's zone, in full. Nothing stays nothing, for default.
func date(r *reader, at int, v any) (string, error) {
	switch v := v.(type) {
	case moment:
		return r.moment(v.at), nil
	case string:
		if v == "" {
			return "", nil
		}
		t, timed, err := parseMoment(v, r.noticeIn)
		if err != nil {
			return "", r.hole(at, "is not a date like 2026-11-09 or 2026-11-09T21:00")
		}
		if timed {
			return r.moment(t), nil
		}
		return r.format.date(t), nil
	}
	return "", r.hole(at, "is not a date")
}

// parseMoment reads an RFC 3339 time, a wall-clock time in loc, or a date; timed is false for the last.
func parseMoment(s string, loc *time.Location) (t time.Time, timed bool, err error) {
	if loc == nil {
		loc = time.UTC
	}
	if t, err = time.Parse(time.RFC3339, s); err == nil {
		return t, true, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err = time.ParseInLocation(layout, s, loc); err == nil {
			return t, true, nil
		}
	}
	if t, err = time.ParseInLocation(time.DateOnly, s, time.UTC); err == nil {
		return t, false, nil
	}
	return t, false, fmt.Errorf("%q is not a date like 2026-11-09 or 2026-11-09T21:00", s)
}

// fallback is the function default: value, or instead where value is empty.
func fallback(instead, value any) any {
	if value == "" {
		return instead
	}
	return value
}

// start begins the numbering of an ordered list of the text part.
func start(r *reader, list, first int) string {
	if r.counters == nil {
		r.counters = map[int]int{}
	}
	r.counters[list] = first
	return ""
}

// item returns the next number of an ordered list of the text part.
func item(r *reader, list int) string {
	r.counters[list]++
	return strconv.Itoa(r.counters[list] - 1)
}

// mark keeps the marker of a list item of the text part for its first line.
func mark(r *reader, parts ...string) string {
	r.pending = strings.Join(parts, "")
	return ""
}

// marker returns the marker of a list item of the text part once.
func marker(r *reader) string {
	m := r.pending
	r.pending = ""
	return m
}

// hole is the error of a text that would have a hole in it for this reader.
func (r *reader) hole(at int, what string) error {
	s := r.sites[at]
	return notice.Invalid(s.where, "%s %s for this recipient", s.what, what)
}

// forbidden reports what is kept out of all that is printed: control characters, line and paragraph separators, and
// the noncharacters that reflow uses as marks.
func forbidden(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\uFDD0' && r <= '\uFDEF' || r == utf8.RuneError
}

// clean makes one line of data: what is forbidden becomes a space, and space around it goes.
func clean(s string) string {
	if strings.ContainsFunc(s, forbidden) {
		s = strings.Map(func(r rune) rune {
			if forbidden(r) {
				return ' '
			}
			return r
		}, s)
	}
	return strings.TrimSpace(s)
}

func cleanAll(m map[string]string) map[string]string {
	c := make(map[string]string, len(m))
	for k, v := range m {
		c[k] = clean(v)
	}
	return c
}

// isolate keeps a value from mixing with the text around it (UAX #9): a Latin name within Arabic, a Hebrew one within
// English, and whatever brings controls of its own.
func isolate(s string, rtl bool) string {
	mixes := func(r rune) bool {
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.L, bidi.EN:
			return rtl
		case bidi.R, bidi.AL, bidi.AN:
			return !rtl
		case bidi.LRE, bidi.RLE, bidi.LRO, bidi.RLO, bidi.PDF, bidi.LRI, bidi.RLI, bidi.FSI, bidi.PDI:
			return true
		}
		return false
	}
	if strings.ContainsFunc(s, mixes) {
		return "\u2068" + s + "\u2069"
	}
	return s
}
