package notice

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The phases of a maintenance that decide about its reminders.
const (
	PhaseScheduled   = "scheduled"
	PhaseRescheduled = "rescheduled" // the windows were moved
	PhaseReminder    = "reminder"
	PhaseCompleted   = "completed"
	PhaseCancelled   = "cancelled"
)

// EndsReminders reports whether a notice of the phase, once it begins, cancels the reminders of its maintenance.
func EndsReminders(phase string) bool {
	return phase == PhaseRescheduled || phase == PhaseCompleted || phase == PhaseCancelled
}

// Moved holds the fields that the notice of a moved maintenance may leave out, as filled in from the notice before it.
type Moved struct {
	Was      []Window `json:"was"`
	Audience Audience `json:"audience"`
}

// Step is a phase that an incident has come to, with the key of the notice that said so.
type Step struct{ Key, Phase string }

// Backwards reports whether a notice of phase to goes back behind phase from. A maintenance that has not begun may be announced,
// moved and reminded of in any order.
func Backwards(kind Kind, from, to string) bool {
	place := func(phase string) int {
		if phase == PhaseRescheduled || phase == PhaseReminder {
			phase = PhaseScheduled
		}
		return slices.Index(Phases[kind], phase)
	}
	return place(to) < place(from)
}

// Reminder is one that a notice has made for one of its windows: a notice of its own, which waits for its time.
type Reminder struct {
	Key    string    `json:"key"`
	At     time.Time `json:"at"`     // when it leaves
	Window time.Time `json:"window"` // the start of its window: from then on it does not leave any more
	// Skipped says why it is not made, "" where it is.
	Skipped string `json:"skipped,omitempty"`
}

// The bounds of a time before a window, and of all reminders of a notice.
const (
	shortestSpan = time.Minute
	longestSpan  = 90 * 24 * time.Hour
	maxReminders = 50
)

// remindSpan reads a time before a window, such as 72h, 3d or 30m.
func remindSpan(text string) (d time.Duration, err error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, dayErr := strconv.ParseUint(days, 10, 16)
		d, err = time.Duration(n)*24*time.Hour, dayErr
	} else {
		d, err = time.ParseDuration(text)
	}
	if err != nil || d < shortestSpan || d > longestSpan || d%time.Minute != 0 {
		return 0, Invalid("remind", "%q is no time before a window, in whole minutes, hours or days up to 90d: write it like 72h, 3d or 30m", text)
	}
	return d, nil
}

// spanName is the one form of a time before a window, which keys have: 72h, or 90m where it is no whole hour.
func spanName(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}

// NormalRemind checks when a notice reminds of its windows, and returns the times in one form, the longest first. zone is
// that of windows without one. Its error is an *Error.
func (b Body) NormalRemind(zone string) ([]string, error) {
	if len(b.Remind) == 0 {
		return nil, nil
	}
	switch {
	case b.Kind != Maintenance || b.Phase != PhaseScheduled && b.Phase != PhaseRescheduled || len(b.Windows) == 0:
		return nil, Invalid("remind", "goes with kind: maintenance, phase scheduled or rescheduled, and windows: it counts from the start of each")
	case b.Audience.Contact == Alternate:
		return nil, Invalid("remind", "does not go with an audience at alternate addresses: send the reminder as a notice of its own")
	}
	var spans []time.Duration
	for _, text := range b.Remind {
		d, err := remindSpan(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		spans = append(spans, d)
	}
	slices.Sort(spans)
	slices.Reverse(spans)
	b.Remind = nil
	for _, d := range slices.Compact(spans) {
		b.Remind = append(b.Remind, spanName(d))
	}
	all := b.Reminders(zone)
	if len(all) > maxReminders {
		return nil, Invalid("remind", "makes %d reminders of %d windows, and a notice has %d at most: leave out some, or announce the windows apart", len(all), len(b.Windows), maxReminders)
	}
	for _, r := range all {
		if !ValidKey(r.Key) {
			return nil, Invalid("remind", "makes the key %s, and a key has 100 characters at most: use a shorter key", r.Key)
		}
	}
	return b.Remind, nil
}

// Reminders returns the reminders that a normal body asks for, the first to leave first. Windows that start at the same time have
// theirs in common. zone is that of windows without one.
//
// The reminder 72 hours before the first window has the key KEY.reminder-72h, that before the second KEY.reminder-72h.2, in the order
// of their starts.
func (b Body) Reminders(zone string) (all []Reminder) {
	var starts []time.Time
	for _, w := range b.Windows {
		if start, _, err := w.Span(zone); err == nil {
			starts = append(starts, start.UTC())
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	starts = slices.CompactFunc(starts, time.Time.Equal)
	for _, name := range b.Remind {
		before, err := remindSpan(name)
		if err != nil {
			continue
		}
		for i, start := range starts {
			key := b.Key + ".reminder-" + name
			if i > 0 {
				key += fmt.Sprintf(".%d", i+1)
			}
			all = append(all, Reminder{Key: key, At: start.Add(-before), Window: start})
		}
	}
	slices.SortStableFunc(all, func(x, y Reminder) int { return x.At.Compare(y.At) })
	return all
}

// Miss marks the reminders that are not made: their time is past, or comes before the notice itself leaves.
func (b Body) Miss(all []Reminder, now time.Time) []Reminder {
	sendAt, _, err := b.Schedule()
	for i := range all {
		switch {
		case !all[i].At.After(now):
			all[i].Skipped = "its time is past"
		case err == nil && sendAt != nil && !all[i].At.After(*sendAt):
			all[i].Skipped = "its time is before the notice goes out"
		}
	}
	return all
}

// Reminding returns the body of a reminder of the notice: its content, to those who got it or may have got it, and
// to those who are new to its audience by then.
func (b Body) Reminding(r Reminder) Body {
	listed := b.Audience.Customers != nil || b.Audience.Digest != ""
	b.Audience = Audience{Notice: b.Key, State: []DeliveryState{DeliverySent, DeliveryUncertain}, IncludeNew: !listed}
	b.Key, b.Phase, b.ReminderOf, b.Remind, b.Was = r.Key, PhaseReminder, b.Key, nil, nil
	b.AudienceAt, b.MaxRecipients, b.Canary, b.SendAt, b.ExpiresAt = AtSend, 0, 0, At(r.At), At(r.Window)
	return b
}

// MostReminded is how many recipients a reminder of a notice may have that mails so many: some are new to its audience by then.
func MostReminded(mailed int) int { return mailed + max(mailed/10, 100) }
