package control

import (
	"cmp"
	"maps"
	"net/mail"
	"slices"
	"strings"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// normal checks a body's fields and writes them in one form, so that a second press of the same notice is known
// for the same: defaults are filled in, times are in UTC, domains are A-labels.
func normal(b notice.Body) (notice.Body, error) {
	if !notice.ValidKey(b.Key) {
		return b, notice.Invalid("key", "%q is not 1 to 100 of A-Z a-z 0-9 . _ ~ - with at least one letter", b.Key)
	}
	if err := normalAmendment(b); err != nil {
		return b, err
	}
	if b.Incident == "" {
		b.Incident = b.Key
	}
	if !notice.ValidKey(b.Incident) {
		return b, notice.Invalid("incident", "%q is not 1 to 100 of A-Z a-z 0-9 . _ ~ - with at least one letter", b.Incident)
	}
	if !slices.Contains(notice.Kinds, b.Kind) {
		return b, notice.Invalid("kind", "%q is none of outage, maintenance, advisory", b.Kind)
	}
	if phases := notice.Phases[b.Kind]; !slices.Contains(phases, b.Phase) {
		return b, notice.Invalid("phase", "%q is no phase of kind %s: %s", b.Phase, b.Kind, strings.Join(phases, ", "))
	}
	if b.Severity != "" && !slices.Contains(notice.Severities, b.Severity) {
		return b, notice.Invalid("severity", "%q is none of %s", b.Severity, strings.Join(notice.Severities, ", "))
	}
	if b.DefaultLanguage == "" {
		b.DefaultLanguage = "en"
		if only := slices.Collect(maps.Keys(b.Texts)); len(only) == 1 && b.Template == "" {
			b.DefaultLanguage = only[0]
		}
	}
	switch b.Stacked {
	case "":
		b.Stacked = notice.StackNever
	case notice.StackNever, notice.StackUnmatched, notice.StackAlways:
	default:
		return b, notice.Invalid("stacked", "%q is none of never, unmatched, always", b.Stacked)
	}
	if err := notice.NormalCanary(b.Canary); err != nil {
		return b, err
	}
	if b.ReminderOf != "" {
		return b, notice.Invalid("reminder_of", "is set by Tocsin: the release of a notice with remind makes its reminders")
	}
	if b, err := normalCalendar(b); err != nil {
		return b, err
	}
	switch {
	case b.Phase == notice.PhaseRescheduled && len(b.Windows) == 0:
		return b, notice.Invalid("windows", "are none: phase rescheduled says when it will be now")
	case b.Phase != notice.PhaseRescheduled && len(b.Was) > 0:
		return b, notice.Invalid("was", "goes with phase rescheduled: it has the windows of before")
	}
	b, err := normalPlaces(b)
	if err == nil {
		b.Remind, err = b.NormalRemind(b.Zone)
	}
	return b, err
}

// normalCalendar checks the fields of a calendar, which a maintenance with windows has.
func normalCalendar(b notice.Body) (notice.Body, error) {
	b.CalendarMethod, b.CalendarImpact = strings.ToLower(b.CalendarMethod), strings.ToLower(b.CalendarImpact)
	for _, f := range []struct {
		name, value string
		words       []string
	}{{"calendar_method", b.CalendarMethod, notice.CalendarMethods}, {"calendar_impact", b.CalendarImpact, notice.Impacts}, {"calendar_object", b.CalendarObject, nil}} {
		switch {
		case f.value == "":
		case b.Kind != notice.Maintenance || len(b.Windows) == 0:
			return b, notice.Invalid(f.name, "goes with kind: maintenance and windows: no other mail has a calendar")
		case f.words != nil && !slices.Contains(f.words, f.value):
			return b, notice.Invalid(f.name, "%q is none of %s", f.value, strings.Join(f.words, ", "))
		}
	}
	return b, nil
}

// maxWindows is how many windows a notice has at most: its texts may print them for each customer of a mailbox.
const maxWindows = 50

// unambiguous refuses a normal body with an unclear meaning, or with too many windows. It checks new bodies only: a body that
// is kept has the meaning of the day when it was made. zone is for windows without an offset, if the body has no zone.
func unambiguous(b notice.Body, zone string) error {
	if !b.Audience.Given() && b.Amends == "" {
		return notice.Invalid("audience", "says nobody: write a filter such as server = \"s639\", a list of customers or an earlier notice, or %s for every customer", notice.Everybody)
	}
	if b.Audience.Empty != "" {
		return notice.Invalid("audience", "%s says nothing: give it a value, or leave it out", b.Audience.Empty)
	}
	if len(b.Windows) > maxWindows {
		return notice.Invalid("windows", "are %d, and a notice has %d at most", len(b.Windows), maxWindows)
	}
	for _, w := range b.Windows {
		if err := w.CheckClock(cmp.Or(b.Zone, zone)); err != nil {
			return notice.Invalid("windows", "%v", err)
		}
	}
	if err := b.SendAt.Check(b.Zone); err != nil {
		return notice.Invalid("send_at", "%v", err)
	}
	if err := b.ExpiresAt.Check(b.Zone); err != nil {
		return notice.Invalid("expires_at", "%v", err)
	}
	return nil
}

func normalPlaces(b notice.Body) (notice.Body, error) {
	if _, err := notice.LoadZone(b.Zone); err != nil {
		return b, err
	}
	b.Windows = slices.Clone(b.Windows)
	for _, w := range b.Windows {
		if _, _, err := w.Span(b.Zone); err != nil {
			return b, notice.Invalid("windows", "%v", err)
		}
	}
	b.Was = slices.Clone(b.Was)
	for _, w := range b.Was {
		if _, _, err := w.Span(b.Zone); err != nil {
			return b, notice.Invalid("was", "%v", err)
		}
	}
	broken := make([]string, 0, len(b.BrokenDomains))
	for _, d := range slices.Concat(b.BrokenDomains, b.Broken.Domains) {
		a, err := audience.ParseAddress("postmaster@" + d)
		if err != nil {
			return b, notice.Invalid("broken_domains", "%q is not a domain", d)
		}
		broken = append(broken, a.Domain)
	}
	slices.Sort(broken)
	b.BrokenDomains = slices.Compact(broken)
	b.Broken = notice.Broken{Filter: strings.TrimSpace(b.Broken.Filter)}
	if b.ReplyTo != "" {
		if _, err := mail.ParseAddress(b.ReplyTo); err != nil {
			return b, notice.Invalid("reply_to", "is not the address of a mailbox")
		}
	}
	var err error
	if b, err = normalTimes(b); err != nil {
		return b, err
	}
	if b, err = normalMoment(b); err != nil {
		return b, err
	}
	b.Audience, err = normalAudience(b.Key, b.Audience)
	return b, err
}

// normalMoment checks when the audience is resolved. A maximum of recipients is required where nobody sees them before.
func normalMoment(b notice.Body) (notice.Body, error) {
	switch b.AudienceAt {
	case "", notice.AtRelease:
		b.AudienceAt = ""
		if b.MaxRecipients != 0 {
			return b, notice.Invalid("max_recipients", "goes with audience_at: send; notice send --expect is for a release")
		}
		return b, nil
	case notice.AtSend:
	default:
		return b, notice.Invalid("audience_at", "%q is none of release, send", b.AudienceAt)
	}
	if b.SendAt == "" {
		return b, notice.Invalid("audience_at", "send goes with send_at: without one it leaves at its release")
	}
	if b.MaxRecipients < 1 {
		return b, notice.Invalid("max_recipients", "goes with audience_at: send, and says how many mails it may be at most, such as 3000: nobody looks at them then")
	}
	return b, nil
}

func normalTimes(b notice.Body) (notice.Body, error) {
	var err error
	if b.SendAt, err = b.SendAt.Normal(); err != nil {
		return b, notice.Invalid("send_at", "%v", err)
	}
	if b.ExpiresAt, err = b.ExpiresAt.Normal(); err != nil {
		return b, notice.Invalid("expires_at", "%v", err)
	}
	sendAt, expiresAt, err := b.Schedule()
	if err == nil && sendAt != nil && expiresAt != nil && !expiresAt.After(*sendAt) {
		err = notice.Invalid("expires_at", "is not after send_at: nothing would be sent")
	}
	return b, err
}
