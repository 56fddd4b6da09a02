package render

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"
)

//go:embed cldr.json
var cldrFile []byte

// cldr is how dates, times and numbers are written, per locale, as cldr/generate.mjs took it from CLDR.
type cldr struct {
	Lists   [][]string     `json:"lists"` // names that formats refer to
	Formats []*format      `json:"formats"`
	Locales map[string]int `json:"locales"` // into Formats; -1 = too intricate for the patterns
}

// format is what one locale writes, in its default calendar (Gregorian, Persian or Buddhist) and digits.
type format struct {
	Calendar string `json:"calendar"`
	Date     string `json:"date"`   // {w} weekday, {d} day, {M} month, {y} year
	Time     string `json:"time"`   // {h} hour, {m} minute, {p} part of the day
	Both     string `json:"both"`   // {date}, {time}
	To       string `json:"to"`     // between two times of one day
	DateTo   string `json:"dateTo"` // between two dates with times
	Cycle    int    `json:"cycle"`  // 24, 12, or 11 where noon is 0
	Hour2    bool   `json:"hour2"`
	Day2     bool   `json:"day2"`
	Months   int    `json:"months"`
	Weekdays int    `json:"weekdays"`
	Periods  int    `json:"periods"` // of each of the 24 hours; -1 = none
	Number   struct {
		Digits  string `json:"digits"`
		Decimal string `json:"decimal"`
		Group   string `json:"group"`
		Minus   string `json:"minus"`
		First   int    `json:"first"` // digits of the group before the decimal sign
		Next    int    `json:"next"`  // of the groups before that
		Least   int    `json:"least"` // digits that must stand before the first group sign
	} `json:"number"`

	Names  [][]string `json:"names,omitempty"` // of months, weekdays, and the 24 hours' parts of the day if there are any
	digits []rune
}

// complete reports whether all names and digits are there.
func (f *format) complete() bool {
	return len(f.Names) >= 2 && len(f.Names[0]) >= 12 && len(f.Names[1]) >= 7 && (len(f.Names) == 2 || len(f.Names[2]) >= 24) &&
		len([]rune(f.Number.Digits)) == 10
}

// ready fills in what is derived from the rest.
func (f *format) ready() { f.digits = []rune(f.Number.Digits) }

var loadCLDR = sync.OnceValue(func() *cldr {
	c := &cldr{}
	if err := json.Unmarshal(cldrFile, c); err != nil {
		panic(fmt.Sprintf("read the embedded CLDR tables: %v", err))
	}
	for _, f := range c.Formats {
		f.Names = [][]string{c.Lists[f.Months], c.Lists[f.Weekdays]}
		if f.Periods >= 0 {
			f.Names = append(f.Names, c.Lists[f.Periods])
		}
		f.ready()
	}
	return c
})

// find returns the format of a locale or of the nearest parent that has one; nil if there is none: then everything is
// written as ISO 8601 has it, which says the same in every language.
func (c *cldr) find(tag language.Tag) *format {
	base, script, region := tag.Raw()
	tag, err := language.Compose(base, script, region)
	for ; err == nil && tag != language.Und; tag = tag.Parent() {
		if i, ok := c.Locales[tag.String()]; ok {
			if i < 0 {
				return nil
			}
			return c.Formats[i]
		}
	}
	return nil
}

// date writes the day of t with its weekday.
func (f *format) date(t time.Time) string {
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
	return fill(f.Date, func(name string) string {
		switch name {
		case "w":
			return f.Names[1][t.Weekday()]
		case "d":
			return f.local(d, f.Day2)
		case "M":
			return f.Names[0][month-1]
		}
		return f.local(year, false)
	})
}

// clock writes the time of day of t, to the minute.
func (f *format) clock(t time.Time) string {
	if f == nil {
		return t.Format("15:04")
	}
	h, period := t.Hour(), ""
	if len(f.Names) > 2 {
		period = f.Names[2][h]
	}
	switch {
	case f.Cycle == 12 && h%12 == 0:
		h = 12
	case f.Cycle <= 12:
		h %= 12
	}
	return fill(f.Time, func(name string) string {
		switch name {
		case "h":
			return f.local(h, f.Hour2)
		case "m":
			return f.local(t.Minute(), true)
		}
		return period
	})
}

// both joins a date and what is written for the time of day.
func (f *format) both(date, clock string) string {
	if f == nil {
		return date + " " + clock
	}
	return fill(f.Both, func(name string) string {
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

// moment writes a date and time without the zone.
func (f *format) moment(t time.Time) string { return f.both(f.date(t), f.clock(t)) }

// interval writes a span of time without the zone. One that ends on another day, be it at midnight, has both dates.
func (f *format) interval(start, end time.Time) string {
	to, dateTo := " – ", " – "
	if f != nil {
		to, dateTo = f.To, f.DateTo
	}
	if start.Format(time.DateOnly) == end.Format(time.DateOnly) {
		return f.both(f.date(start), f.clock(start)+to+f.clock(end))
	}
	return f.moment(start) + dateTo + f.moment(end)
}

func (f *format) local(n int, two bool) string {
	s := strconv.Itoa(n)
	if two && len(s) < 2 {
		s = "0" + s
	}
	return f.translate(s)
}

// translate puts the locale's digits for ASCII ones.
func (f *format) translate(s string) string {
	if f.digits[0] == '0' {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return f.digits[r-'0']
		}
		return r
	}, s)
}

// number writes a decimal number that numeric matches, digit for digit.
func (f *format) number(s string) string {
	if f == nil {
		return strings.TrimPrefix(s, "+")
	}
	sign := ""
	if s[0] == '-' || s[0] == '+' {
		sign = map[byte]string{'-': f.Number.Minus}[s[0]]
		s = s[1:]
	}
	whole, fraction, hasFraction := strings.Cut(s, ".")
	whole = strings.TrimLeft(whole[:len(whole)-1], "0") + whole[len(whole)-1:]
	out := f.translate(f.group(whole))
	if hasFraction {
		out += f.Number.Decimal + f.translate(fraction)
	}
	return sign + out
}

func (f *format) group(whole string) string {
	size := f.Number.First
	if size == 0 || len(whole) < size+f.Number.Least {
		return whole
	}
	var groups []string
	for len(whole) > size {
		groups = append([]string{whole[len(whole)-size:]}, groups...)
		whole = whole[:len(whole)-size]
		size = f.Number.Next
	}
	return strings.Join(append([]string{whole}, groups...), f.Number.Group)
}

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

// zoneName names the zone of a span so that it is read in any language: "Europe/Amsterdam, UTC+1". Its space does not
// break, because the second half would stand on the wrong side in a right-to-left text.
func zoneName(start, end time.Time) string {
	name := start.Location().String()
	if name == "UTC" || name == "Etc/UTC" {
		return "UTC"
	}
	offset := utcOffset(start)
	if last := utcOffset(end); last != offset {
		offset += "\u00a0→\u00a0" + last
	}
	return name + ",\u00a0" + offset
}

func utcOffset(t time.Time) string {
	_, seconds := t.Zone()
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	s := fmt.Sprintf("UTC%s%d", sign, seconds/3600)
	if m := seconds / 60 % 60; m != 0 {
		s += fmt.Sprintf(":%02d", m)
	}
	return s
}
