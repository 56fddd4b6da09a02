package cldr

import (
	"strings"
	"time"
)

// Format is how one locale writes dates, times and numbers. Its exported fields are part of the encoding of mails.
type Format struct {
	Calendar    string `json:"calendar,omitempty"` // persian or buddhist; "" = Gregorian
	DatePattern string `json:"date"`               // {w} weekday, {d} day, {M} month, {y} year
	TimePattern string `json:"time"`               // {h} hour, {m} minute, {p} part of the day
	Together    string `json:"both"`               // {date}, {time}
	Cycle       int    `json:"cycle"`              // 24, 12, or 11 where noon is 0
	Hour2       bool   `json:"hour2"`
	Day2        bool   `json:"day2"`
	Months      int    `json:"months"`
	Weekdays    int    `json:"weekdays"`
	Periods     int    `json:"periods"` // of each of the 24 hours; -1 = none
	Number      Number `json:"number"`

	Names [][]string `json:"names,omitempty"` // of months, weekdays, and the 24 hours' parts of the day if there are any
}

// Complete reports whether all names and digits of a decoded format are there.
func (f *Format) Complete() bool {
	return len(f.Names) >= 2 && len(f.Names[0]) >= 12 && len(f.Names[1]) >= 7 && (len(f.Names) == 2 || len(f.Names[2]) >= 24) &&
		len(f.Number.digits) == 10
}

// Date writes the day of t with its weekday.
func (f *Format) Date(t time.Time) string {
	if f == nil {
		return t.Format("2006-01-02")
	}
	y, m, d := t.Date()
	year, month := y, int(m)
	switch f.Calendar {
	case "persian":
		year, month, d = persian(t)
	case "buddhist":
		year += 543
	}
	return fill(f.DatePattern, func(name string) string {
		switch name {
		case "w":
			return f.Names[1][t.Weekday()]
		case "d":
			return f.Number.local(d, f.Day2)
		case "M":
			return f.Names[0][month-1]
		}
		return f.Number.local(year, false)
	})
}

// unbroken returns a date's pattern with no-break spaces from its day to its year, in whichever order: no line ends within "9. November".
func unbroken(pattern string) string {
	first, last := len(pattern), 0
	for _, field := range []string{"{d}", "{M}", "{y}"} {
		at := strings.Index(pattern, field)
		first, last = min(first, at), max(last, at)
	}
	if first < 0 || strings.Contains(pattern[first:last], "{w}") {
		return pattern
	}
	return pattern[:first] + strings.ReplaceAll(pattern[first:last], " ", "\u00A0") + pattern[last:]
}

// Clock writes the time of day of t, to the minute.
func (f *Format) Clock(t time.Time) string {
	if f == nil {
		return t.Format("15:04")
	}
	return fill(f.TimePattern, func(name string) string { return f.timePart(name, t, f.Hour2) })
}

// timePart writes a field of a time of day: h, m or p.
func (f *Format) timePart(name string, t time.Time, hour2 bool) string {
	h := t.Hour()
	switch {
	case name == "m":
		return f.Number.local(t.Minute(), true)
	case name == "p":
		return f.period(t)
	case f.Cycle == 12 && h%12 == 0:
		h = 12
	case f.Cycle <= 12:
		h %= 12
	}
	return f.Number.local(h, hour2)
}

// period returns the part of the day that t is in, "" on a clock of 24 hours.
func (f *Format) period(t time.Time) string {
	if len(f.Names) < 3 {
		return ""
	}
	return f.Names[2][t.Hour()]
}

// both joins a date and a time of day, both written already.
func (f *Format) both(date, clock string) string {
	if f == nil {
		return date + " " + clock
	}
	return fill(f.Together, func(name string) string {
		if name == "date" {
			return date
		}
		return clock
	})
}

// fill returns a pattern with a value for each name in braces.
func fill(pattern string, value func(name string) string) string {
	var b strings.Builder
	for {
		literal, rest, found := strings.Cut(pattern, "{")
		b.WriteString(literal)
		if !found {
			return b.String()
		}
		name, rest, _ := strings.Cut(rest, "}")
		b.WriteString(value(name))
		pattern = rest
	}
}

// Moment writes a date and time without the zone.
func (f *Format) Moment(t time.Time) string { return f.both(f.Date(t), f.Clock(t)) }

// persian returns the date of t in the Solar Hijri calendar by its 33-year cycle, which agrees with the astronomical
// calendar from 1865 to 2123.
func persian(t time.Time) (year, month, day int) {
	y, m, d := t.Date()
	// Noon in UTC, so that days can be counted whatever the zone does.
	days := int(time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Sub(time.Date(1921, 3, 21, 12, 0, 0, 0, time.UTC)).Hours() / 24)
	for year = 1300; ; year++ {
		length := 365
		if (25*year+11)%33 < 8 {
			length = 366
		}
		if days < length {
			break
		}
		days -= length
	}
	if days < 186 {
		return year, days/31 + 1, days%31 + 1
	}
	return year, (days-186)/30 + 7, (days-186)%30 + 1
}
