package notice

import "time"

// The forms of a time that is written down: of the wall clock of a zone, and with its offset from UTC (RFC 3339, where
// the seconds may be left out).
var (
	wallLayouts   = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"}
	offsetLayouts = []string{time.RFC3339, "2006-01-02T15:04Z07:00"}
)

// WallClock reads a time in either form. A wall-clock time that comes twice, or not at all, is the one that Go makes of
// it: kept notices mean that. CheckClock refuses such a time.
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

// onClock reads a wall-clock time as if the clock were in UTC; ok is false for a time in any other form.
func onClock(s string) (wall time.Time, ok bool) {
	for _, layout := range wallLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return wall, false
}

// CheckClock refuses a wall-clock time that the zone's clocks skip, or show twice, with both readings. A time in any other
// form is not its business.
func CheckClock(s string, loc *time.Location) error {
	wall, ok := onClock(s)
	if !ok {
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
	if err := CheckClock(w.Start, loc); err != nil {
		return Invalid("start", "%v", err)
	}
	if err := CheckClock(w.End, loc); err != nil {
		return Invalid("end", "%v", err)
	}
	return nil
}

// Time is a time of a notice as it is written down: an instant with its offset from UTC (RFC 3339), or the time of the
// clock in the notice's zone. It is kept like that, so that a body does not depend on the data about its zone. "" is none.
type Time string

// At returns the Time of an instant.
func At(t time.Time) Time { return Time(t.UTC().Format(time.RFC3339Nano)) }

// Local reports whether the time is that of a clock, so that it takes a zone to know the instant.
func (t Time) Local() bool {
	_, local := onClock(string(t))
	return local
}

// Normal returns the time in the one form in which it is kept: an instant in UTC, to the second. Its error is an *Error.
func (t Time) Normal() (Time, error) {
	if t == "" {
		return t, nil
	}
	if wall, local := onClock(string(t)); local {
		return Time(wall.Format(wallLayouts[1])), nil
	}
	at, err := WallClock(string(t), time.UTC)
	if err != nil {
		return t, Invalid("", "%q is not a time such as 2026-11-06T09:00 in the zone of the notice, or 2026-11-06T09:00:00+01:00", string(t))
	}
	return At(at.Truncate(time.Second)), nil
}

// Instant returns the instant of the time, nil for none; zone is the notice's. Its error is an *Error.
func (t Time) Instant(zone string) (*time.Time, error) {
	if t == "" {
		return nil, nil
	}
	loc, err := LoadZone(zone)
	if err != nil {
		return nil, err
	}
	at, err := WallClock(string(t), loc)
	if err != nil {
		return nil, err
	}
	at = at.UTC()
	return &at, nil
}

// Check refuses a time that does not say which instant it means: that of a clock without a zone, or one that the clocks
// of the zone skip, or show twice.
func (t Time) Check(zone string) error {
	if zone == "" && t.Local() {
		return Invalid("", "%s has no offset from UTC, and the notice no zone: add one such as zone: Europe/Amsterdam, or write %sZ if it is in UTC", t, t)
	}
	loc, err := LoadZone(zone)
	if err != nil {
		return err
	}
	return CheckClock(string(t), loc)
}

// Schedule returns when the notice is to leave and when it expires; nil where it does not say. Its error is an *Error.
func (b Body) Schedule() (sendAt, expiresAt *time.Time, err error) {
	if sendAt, err = b.SendAt.Instant(b.Zone); err != nil {
		return nil, nil, Invalid("send_at", "%v", err)
	}
	if expiresAt, err = b.ExpiresAt.Instant(b.Zone); err != nil {
		return nil, nil, Invalid("expires_at", "%v", err)
	}
	return sendAt, expiresAt, nil
}
