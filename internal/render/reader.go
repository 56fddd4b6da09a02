package render

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"

	"tocsin/internal/cldr"
	"tocsin/internal/notice"
)

// locale is how values are written for a reader, in parts that are empty where a text needs none of them. Its exported
// fields are part of the encoding of a Mail.
type locale struct {
	Format    *cldr.Format    `json:"format,omitempty"` // nil = as ISO 8601 has it
	RTL       bool            `json:"rtl,omitempty"`
	Zone      zone            `json:"zone"`   // the reader's
	Notice    zone            `json:"notice"` // of wall-clock times in texts
	ZoneNames []cldr.ZoneName `json:"zone_names,omitempty"`
	Lists     *cldr.Lists     `json:"lists,omitempty"`
	Durations cldr.Durations  `json:"durations,omitempty"`
	Money     *cldr.Money     `json:"money,omitempty"`
	Plurals   *cldr.Plurals   `json:"plurals,omitempty"`

	ranges *cldr.Ranges // of windows, which are the same for all readers of a mail
}

// part returns the parts of a locale that uses names.
func (l *locale) part(uses writes) locale {
	n := locale{RTL: l.RTL}
	if uses.format {
		n.Format = l.Format
	}
	if uses.zone {
		n.Zone, n.Notice, n.ZoneNames, n.ranges = l.Zone, l.Notice, l.ZoneNames, l.ranges
	}
	if uses.lists {
		n.Lists = l.Lists
	}
	if uses.durations {
		n.Durations = l.Durations
	}
	if uses.money {
		n.Money = l.Money
	}
	if uses.plurals {
		n.Plurals = l.Plurals
	}
	return n
}

// cldr returns the parts as the package cldr has them.
func (l *locale) cldr() *cldr.Locale {
	return &cldr.Locale{Format: l.Format, Ranges: l.ranges, Lists: l.Lists, Durations: l.Durations, Money: l.Money, Plurals: l.Plurals}
}

// zone is a time zone that is encoded by its IANA name.
type zone struct{ *time.Location }

func (z zone) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

func (z *zone) UnmarshalText(name []byte) (err error) {
	z.Location, err = notice.LoadZone(string(name))
	return err
}

// window is a span of time.
type window struct{ start, end time.Time }

func (e *env) time(v value) time.Time {
	w := e.fixed.window(v.i / 2)
	if v.i%2 == 1 {
		return w.end
	}
	return w.start
}

func (l *locale) moment(t time.Time) string {
	t = t.In(l.Zone.Location)
	return l.Format.Moment(t) + " (" + cldr.Zone(l.ZoneNames, t, t) + ")"
}

func (l *locale) interval(start, end time.Time) string {
	start, end = start.In(l.Zone.Location), end.In(l.Zone.Location)
	return l.cldr().Interval(start, end) + " (" + cldr.Zone(l.ZoneNames, start, end) + ")"
}

// date writes a date, or a date and time in the reader's zone, in full. Nothing stays nothing, for default.
func (e *env) date(v value, at *site) (string, error) {
	switch {
	case v.kind == kindMoment:
		return e.moment(e.time(v)), nil
	case v.s == "":
		return "", nil
	}
	t, timed, err := parseMoment(v.s, e.Notice.Location)
	if err != nil {
		return "", at.hole("is not a date like 2026-11-09 or 2026-11-09T21:00")
	}
	if e.doubt != nil && *e.doubt == nil {
		if err := notice.CheckClock(v.s, e.Notice.Location); err != nil {
			*e.doubt = notice.Invalid(at.Where, "%s: %v", at.What, err)
		}
	}
	if timed {
		return e.moment(t), nil
	}
	return e.Format.Date(t), nil
}

// parseMoment reads a time with its offset, a wall-clock time in loc, or a date; timed is false for the last.
func parseMoment(s string, loc *time.Location) (t time.Time, timed bool, err error) {
	if loc == nil {
		loc = time.UTC
	}
	if t, err = notice.WallClock(s, loc); err == nil {
		return t, true, nil
	}
	if t, err = time.ParseInLocation(time.DateOnly, s, time.UTC); err == nil {
		return t, false, nil
	}
	return t, false, fmt.Errorf("%q is not a date like 2026-11-09 or 2026-11-09T21:00", s)
}

var numeric = regexp.MustCompile(`^[+-]?[0-9]{1,60}(\.[0-9]{1,60})?$`)

// forbidden reports characters that are kept out of all that is printed. They are control characters, line and
// paragraph separators, and the noncharacters that this package uses as marks.
func forbidden(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\uFDD0' && r <= '\uFDEF' || r == utf8.RuneError
}

// clean makes one line of data: a forbidden character becomes a space, and space around the line goes.
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

// mixes reports whether a value would mix with the text around it (UAX #9) and has to be isolated. Such are a Latin
// name within Arabic, a Hebrew one within English, and any that brings controls of its own.
func mixes(s string, rtl bool) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		if r < utf8.RuneSelf && !rtl {
			return false
		}
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
	})
}
