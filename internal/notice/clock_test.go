package notice

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAWallClockTimeNamesOneInstant(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ at, zone, want string }{
		{"2027-03-14T02:30", "America/New_York", "does not exist in America/New_York, where clocks are set forward: write 2027-03-14T01:30-05:00 or 2027-03-14T03:30-04:00"},
		{"2027-03-28 02:30", "Europe/Amsterdam", "does not exist"},
		{"2027-03-28T02:00:00", "Europe/Amsterdam", "write 2027-03-28T01:00+01:00 or 2027-03-28T03:00+02:00"},
		{"2027-09-05T00:30", "America/Santiago", "write 2027-09-04T23:30-04:00 or 2027-09-05T01:30-03:00"},
		{"2027-10-31T02:30", "Europe/Amsterdam", "comes twice in Europe/Amsterdam, where clocks are set back: write 2027-10-31T02:30+02:00 or 2027-10-31T02:30+01:00"},
		{"2027-11-07T01:30", "America/New_York", "write 2027-11-07T01:30-04:00 or 2027-11-07T01:30-05:00"},
		{"2027-04-04T01:45", "Australia/Lord_Howe", "comes twice"}, // half an hour
		{"2011-12-30T12:00", "Pacific/Apia", "does not exist"},     // the day that Samoa skipped
		{"2027-10-31T02:30+02:00", "Europe/Amsterdam", ""},         // said with its offset
		{"2027-10-31T02:30:00+01:00", "Europe/Amsterdam", ""},      // the other one
		{"2027-10-31T03:00", "Europe/Amsterdam", ""},               // the first minute after
		{"2027-03-28T03:00", "Europe/Amsterdam", ""},
		{"2027-03-28T01:59", "Europe/Amsterdam", ""},
		{"2027-10-31T02:30", "UTC", ""},
	} {
		w := Window{Start: tt.at, End: "2030-01-01T00:00"}
		if _, _, err := w.Span(tt.zone); err != nil && tt.zone != "" {
			t.Errorf("%s in %s: %v", tt.at, tt.zone, err)
		}
		err := w.CheckClock(tt.zone)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s in %s: %v, want %q", tt.at, tt.zone, err, tt.want)
		}
	}
}

// TestEveryMinuteOfAClock holds the check against the clock itself: of the instants around a wall-clock time, count those
// at which the zone's clock shows it.
func TestEveryMinuteOfAClock(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Amsterdam", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Tehran", "Pacific/Chatham", "Africa/Casablanca", "UTC"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		near := rapid.Int64Range(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()/60, time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC).Unix()/60).Draw(t, "minute")
		wall := time.Unix(near*60, 0).UTC()
		if rapid.Bool().Draw(t, "near a change") {
			_, change := wall.In(loc).ZoneBounds()
			if !change.IsZero() {
				_, offset := change.Zone()
				wall = change.UTC().Add(time.Duration(offset)*time.Second + time.Duration(rapid.IntRange(-120, 120).Draw(t, "from it"))*time.Minute)
			}
		}
		shown := 0
		for at := wall.Add(-26 * time.Hour); at.Before(wall.Add(26 * time.Hour)); at = at.Add(time.Minute) {
			if shows(at.In(loc), wall) {
				shown++
			}
		}
		err = CheckClock(wall.Format("2006-01-02T15:04"), loc)
		if (err == nil) != (shown == 1) {
			t.Fatalf("%s in %s is shown %d times: %v", wall, loc, shown, err)
		}
	})
}
