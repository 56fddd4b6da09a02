package notice

import "time"

// The forms of a time that is written down: of the wall clock of a zone, and with its offset from UTC (RFC 3339, whose
// seconds may be left out).
var (
	wallLayouts   = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04"}
	offsetLayouts = []string{time.RFC3339, "2006-01-02T15:04Z07:00"}
)

// WallClock reads a time in either form. A wall-clock time that comes twice, or not at all, is the one that Go makes of
// it: kept notices mean that. checkClock refuses such a time.
func WallClock(s string, loc *time.Location) (time.Time, error) {
	for _, layout := range wallLayouts {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return t, nil
		}
	}
	for _, layout := range offsetLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, Invalid("", "%q is not a time like 2026-11-09T21:00", s)
}

// checkClock refuses a wall-clock time that the zone's clocks skip, or show twice, with both readings.
func checkClock(s string, loc *time.Location) error {
	var wall time.Time // the reading of the clock, as if it were in UTC
	for _, layout := range wallLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			wall = t
		}
	}
	if wall.IsZero() {
		return nil
	}
	// No zone has changed its offset by more than a day, nor twice within two days.
	before, after := wall.Add(-24*time.Hour), wall.Add(24*time.Hour)
	first, second := reading(wall, before.In(loc)), reading(wall, after.In(loc))
	if first.Equal(second) {
		return nil
	}
	switch fits1, fits2 := shows(first.In(loc), wall), shows(second.In(loc), wall); {
	case fits1 && fits2:
		return Invalid("", "%s comes twice in %s, where clocks are set back: write %s or %s", s, loc, offsetForm(first), offsetForm(second))
	case !fits1 && !fits2:
		return Invalid("", "%s does not exist in %s, where clocks are set forward: write %s or %s", s, loc,
			offsetForm(second.In(loc)), offsetForm(first.In(loc)))
	}
	return nil
}

// reading is the instant at which a clock with the offset of at shows wall.
func reading(wall, at time.Time) time.Time {
	name, offset := at.Zone()
	return time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, time.FixedZone(name, offset))
}

// shows reports whether the clock shows wall at t.
func shows(t, wall time.Time) bool {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second).Equal(wall)
}

func offsetForm(t time.Time) string { return t.Format(offsetLayouts[1]) }

// CheckClock refuses a start or an end that does not say which instant it means: one that the clocks of its zone skip,
// or show twice. zone is the notice's zone. Its error is an *Error that names the field at fault.
func (w Window) CheckClock(zone string) error {
	if w.Zone != "" {
		zone = w.Zone
	}
	loc, err := LoadZone(zone)
	if err != nil {
		return err
	}
	if err := checkClock(w.Start, loc); err != nil {
		return Invalid("start", "%v", err)
	}
	if err := checkClock(w.End, loc); err != nil {
		return Invalid("end", "%v", err)
	}
	return nil
}
