package cldr

import (
	"strconv"
	"strings"
	"time"
)

// Durations is how lengths of time are written: a pattern with {0} by unit and category.
type Durations map[string]map[string]string

// Duration writes a length of time, which is not negative, in days, hours, minutes and seconds; d is that of a day of 24 hours.
func (l *Locale) Duration(d time.Duration) string {
	var parts []string
	for _, u := range []struct {
		name, symbol string
		length       time.Duration
	}{{"day", "d", 24 * time.Hour}, {"hour", "h", time.Hour}, {"minute", "min", time.Minute}, {"second", "s", time.Second}} {
		n := d / u.length
		if d -= n * u.length; n == 0 && (u.name != "second" || len(parts) > 0) {
			continue
		}
		s := strconv.FormatInt(int64(n), 10)
		pattern := l.Durations[u.name][l.Plurals.Category(s)]
		switch {
		case pattern != "":
		case l.Durations != nil:
			pattern = l.Durations[u.name][Other]
		default:
			pattern = "{0} " + u.symbol
		}
		parts = append(parts, strings.Replace(pattern, "{0}", l.Format.Decimal(s), 1))
	}
	return l.Lists.units(parts)
}
