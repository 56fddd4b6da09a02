package cldr

import (
	"strings"
	"time"
)

// Ranges is how spans of time are written, by class. The fields of the end are {h2}, {m2} and {p2}.
type Ranges struct {
	Period string `json:"period"`         // on one day, in one part of it; on a clock of 24 hours, on one day
	Day    string `json:"day,omitempty"`  // on one day; "" = as Period
	Hour   string `json:"hour,omitempty"` // in one hour; "" = as Period
	Days   string `json:"days"`           // {start} and {end}, each with its date
	Hour2  bool   `json:"hour2,omitempty"`
}

// Interval writes a span of time without the zone. One that ends on another day, be it at midnight, has both dates.
func (l *Locale) Interval(start, end time.Time) string {
	f, r := l.Format, l.Ranges
	sameDay := start.Format(time.DateOnly) == end.Format(time.DateOnly)
	switch {
	case f == nil && sameDay:
		return f.Moment(start) + " – " + f.Clock(end)
	case f == nil:
		return f.Moment(start) + " – " + f.Moment(end)
	case !sameDay:
		return fill(r.Days, func(name string) string {
			if name == "start" {
				return f.Moment(start)
			}
			return f.Moment(end)
		})
	}
	pattern := r.Period
	switch {
	case f.period(start) != f.period(end):
		pattern = or(r.Day, pattern)
	case start.Hour() == end.Hour():
		pattern = or(r.Hour, pattern)
	}
	return fill(pattern, func(name string) string {
		if name == "date" {
			return f.Date(start)
		}
		field, ofEnd := strings.CutSuffix(name, "2")
		if ofEnd {
			return f.timePart(field, end, r.Hour2)
		}
		return f.timePart(field, start, r.Hour2)
	})
}
