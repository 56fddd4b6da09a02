package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// checks are those of a release that an operator may overrule, by their names.
var checks = []struct {
	name string
	fail func(p prepared, now time.Time) *notice.Error // nil where the notice may go
}{
	{notice.CheckPast, func(p prepared, now time.Time) *notice.Error { return past(p.body, p.zone, now) }},
	{notice.CheckBackwards, func(p prepared, _ time.Time) *notice.Error { return backwards(p.body, p.begun) }},
	{notice.CheckPlaceholders, func(p prepared, _ time.Time) *notice.Error { return leftOver(p.placeholders()) }},
	{notice.CheckCorrection, func(p prepared, _ time.Time) *notice.Error { return p.alone() }},
}

// refusals are the objections of the checks to a release.
func refusals(p prepared, now time.Time) []notice.Refusal {
	all := []notice.Refusal{}
	for _, c := range checks {
		if err := c.fail(p, now); err != nil {
			all = append(all, notice.Refusal{Check: c.name, Field: err.Field, Reason: err.Message})
		}
	}
	return all
}

// mayGo refuses a release that a check is against which is not among the allowed.
func mayGo(p prepared, allowed []string, now time.Time) error {
	for _, r := range refusals(p, now) {
		if !slices.Contains(allowed, r.Check) {
			return refused(r)
		}
	}
	return nil
}

// refused is the error of a refusal that was not overruled.
func refused(r notice.Refusal) error {
	e := notice.Conflict("%s %s; allow %q to send it all the same", r.Field, r.Reason, r.Check)
	e.Check = r.Check
	return e
}

// checkAllowed refuses names that no check has.
func checkAllowed(names []string) error {
	var known []string
	for _, c := range checks {
		known = append(known, c.name)
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			return notice.Invalid(fmt.Sprintf("allow[%d]", i), "is no check that can be overruled: there is %s", strings.Join(known, ", "))
		}
	}
	return nil
}

// placeholders are those left over in all texts.
func (p prepared) placeholders() (all []notice.Placeholder) {
	for _, program := range p.programs() {
		all = append(all, program.Placeholders()...)
	}
	return all
}

// alone refuses a correction that does not make sense alone; nil where each does.
func (p prepared) alone() *notice.Error {
	if p.correction == nil {
		return nil
	}
	return render.Alone(p.program, p.correction)
}

// backwards refuses a phase that is before one of the incident that has begun; nil where it goes on.
func backwards(b notice.Body, begun []notice.Step) *notice.Error {
	for _, s := range begun {
		if notice.Backwards(b.Kind, s.Phase, b.Phase) {
			return notice.Invalid("phase", "%s goes backwards: notice %q of incident %q is %s", b.Phase, s.Key, b.Incident, s.Phase)
		}
	}
	return nil
}

// leftOver refuses placeholders; nil where there is none.
func leftOver(found []notice.Placeholder) *notice.Error {
	if len(found) == 0 {
		return nil
	}
	return notice.Invalid(found[0].Place, "has a placeholder left over: %s", found[0].Text)
}

// justPast is for how long a send_at that has gone by means now.
const justPast = time.Hour

// past says which time of a notice is over so that it must not be announced any more; nil where none is. The windows of an
// outage, and of a phase that ends an incident or looks back at it, are those of a time that is over.
func past(b notice.Body, zone string, now time.Time) *notice.Error {
	sendAt, expiresAt, err := b.Schedule()
	if err != nil {
		return nil // a body that is kept has a zone, and times
	}
	if expiresAt != nil && !expiresAt.After(now) {
		return notice.Invalid("expires_at", "has gone by (%s): nothing would be sent", stamp(*expiresAt))
	}
	if sendAt != nil && sendAt.Before(now.Add(-justPast)) {
		return notice.Invalid("send_at", "has gone by more than an hour ago (%s)", stamp(*sendAt))
	}
	loc, err := notice.LoadZone(zone)
	if err != nil {
		return nil
	}
	for _, value := range b.Parameters["next_update"].Values() {
		if next, err := notice.WallClock(value, loc); err == nil && !next.After(now) {
			return notice.Invalid("parameters.next_update", "has gone by (%s)", stamp(next))
		}
	}
	if !slices.Contains([]string{notice.PhaseScheduled, notice.PhaseRescheduled, notice.PhaseReminder, "in-progress"}, b.Phase) || len(b.Windows) == 0 {
		return nil
	}
	var last time.Time
	for _, w := range b.Windows {
		if _, end, err := w.Span(zone); err == nil && end.After(last) {
			last = end
		}
	}
	switch {
	case !last.After(now):
		return notice.Invalid("windows", "are over (the last one ended at %s): there is nothing to announce", stamp(last))
	case sendAt != nil && !sendAt.Before(last):
		return notice.Invalid("send_at", "is not before the end of the last window (%s)", stamp(last))
	}
	return nil
}

// late says that a notice goes out at once where its send_at has just gone by; "" for any other.
func late(b notice.Body, now time.Time) string {
	sendAt, _, err := b.Schedule()
	if err != nil || sendAt == nil || sendAt.After(now) || sendAt.Before(now.Add(-justPast)) {
		return ""
	}
	return fmt.Sprintf("send_at has gone by (%s): it goes out at once", stamp(*sendAt))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
