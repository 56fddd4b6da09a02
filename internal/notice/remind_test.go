package notice

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func announcement(remind []string, windows ...Window) Body {
	return Body{Key: "k", Kind: Maintenance, Phase: PhaseScheduled, Remind: remind, Windows: windows}
}

var twoNights = []Window{{Start: "2026-12-07T23:00", End: "2026-12-08T01:00"}, {Start: "2026-12-05T23:00", End: "2026-12-06T01:00"},
	{Start: "2026-12-05T17:00", End: "2026-12-05T18:00", Zone: "America/New_York"}}

func TestRemindersCountFromTheStartOfEachWindow(t *testing.T) {
	t.Parallel()
	b := announcement([]string{"1h", "3d", "72h", "90m"}, twoNights...)
	spans, err := b.NormalRemind("Europe/Amsterdam")
	if diff := cmp.Diff([]string{"72h", "90m", "1h"}, spans); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	b.Remind = spans
	var got []string
	for _, r := range b.Reminders("Europe/Amsterdam") {
		got = append(got, r.At.Format("01-02 15:04 ")+r.Key+r.Window.Format(" 01-02 15:04"))
	}
	want := []string{ // the first two windows begin at the same instant
		"12-02 22:00 k.reminder-72h 12-05 22:00", "12-04 22:00 k.reminder-72h.2 12-07 22:00",
		"12-05 20:30 k.reminder-90m 12-05 22:00", "12-05 21:00 k.reminder-1h 12-05 22:00",
		"12-07 20:30 k.reminder-90m.2 12-07 22:00", "12-07 21:00 k.reminder-1h.2 12-07 22:00",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsPastIsNotRemindedOf(t *testing.T) {
	t.Parallel()
	b := announcement([]string{"72h", "24h", "1h"}, twoNights[1])
	b.SendAt = "2026-12-04T22:00:00Z"
	var got []string
	for _, r := range b.Miss(b.Reminders("Europe/Amsterdam"), time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC)) {
		got = append(got, r.Skipped)
	}
	if diff := cmp.Diff([]string{"its time is past", "its time is before the notice goes out", ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWrongRemindersAreRefused(t *testing.T) {
	t.Parallel()
	long := announcement([]string{"72h"}, twoNights...)
	long.Key = strings.Repeat("k", 90)
	outage := announcement([]string{"72h"}, twoNights...)
	outage.Kind, outage.Phase = Outage, "identified"
	elsewhere := announcement([]string{"72h"}, twoNights...)
	elsewhere.Audience = Audience{Notice: "k0", Contact: Alternate}
	var spans []string
	for i := range 60 {
		spans = append(spans, time.Duration((i+1)*int(time.Hour)).String())
	}
	for want, b := range map[string]Body{
		`"soon" is no time before a window`:   announcement([]string{"soon"}, twoNights...),
		`"0h" is no time`:                     announcement([]string{"0h"}, twoNights...),
		`"-1h" is no time`:                    announcement([]string{"-1h"}, twoNights...),
		`"91d" is no time`:                    announcement([]string{"91d"}, twoNights...),
		`"99999d" is no time`:                 announcement([]string{"99999d"}, twoNights...),
		`"90s" is no time`:                    announcement([]string{"90s"}, twoNights...),
		"goes with kind: maintenance":         outage,
		"and windows":                         announcement([]string{"1h"}),
		"100 characters at most":              long,
		"makes 120 reminders":                 announcement(spans, twoNights...),
		"does not go with an audience at alt": elsewhere,
	} {
		if _, err := b.NormalRemind("Europe/Amsterdam"); CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestAReminderIsANoticeOfItsOwn(t *testing.T) {
	t.Parallel()
	b := announcement([]string{"1h"}, twoNights[1])
	b.Audience, b.ExpiresAt, b.Severity = Audience{Filter: `plan = "gold"`}, "2026-12-04T00:00", "major"
	got := b.Reminding(b.Reminders("Europe/Amsterdam")[0])
	want := Body{Key: "k.reminder-1h", Kind: Maintenance, Phase: PhaseReminder, ReminderOf: "k", Severity: "major", Windows: b.Windows, AudienceAt: AtSend,
		Audience: Audience{Notice: "k", State: []DeliveryState{DeliverySent, DeliveryUncertain}, IncludeNew: true},
		SendAt:   "2026-12-05T21:00:00Z", ExpiresAt: "2026-12-05T22:00:00Z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.Audience = Audience{Digest: "d", Size: 3}
	if b.Reminding(Reminder{}).Audience.IncludeNew {
		t.Error("somebody is new to a list")
	}
}

func TestAPhaseGoesBackwards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind     Kind
		from, to string
		want     bool
	}{
		{Maintenance, "reminder", "rescheduled", false}, {Maintenance, "rescheduled", "scheduled", false}, {Maintenance, "in-progress", "reminder", true},
		{Maintenance, "cancelled", "scheduled", true}, {Maintenance, "completed", "in-progress", true}, {Maintenance, "scheduled", "completed", false},
		{Outage, "resolved", "investigating", true}, {Outage, "resolved", "resolved", false}, {Outage, "identified", "postmortem", false},
	} {
		if got := Backwards(c.kind, c.from, c.to); got != c.want {
			t.Errorf("%s, from %s to %s: %v", c.kind, c.from, c.to, got)
		}
	}
}
