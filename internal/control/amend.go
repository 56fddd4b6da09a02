package control

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// normal is the function normal, after the ledger has filled in some fields. They follow from the notice that a body
// amends, or from those before it in its incident. An amendment has the old windows of the notice that it amends; its
// audience is that notice's.
func (d *Desk) normal(ctx context.Context, b notice.Body) (notice.Body, error) {
	b, err := d.withOld(ctx, b)
	if err != nil {
		return b, err
	}
	return d.placed(ctx, b)
}

// withOld is normal but for the places of windows.
func (d *Desk) withOld(ctx context.Context, b notice.Body) (notice.Body, error) {
	if b.Amends == "" {
		b, err := d.moved(ctx, b)
		if err != nil {
			return b, err
		}
		return normal(b)
	}
	told := len(b.Was) > 0
	if b.Incident != "" && (b.Kind != notice.Maintenance || told) || normalAmendment(b) != nil {
		return normal(b)
	}
	n, err := d.findAmended(ctx, b)
	if err != nil {
		return b, err
	}
	b.Incident = cmp.Or(b.Incident, n.Incident)
	if b.Kind != notice.Maintenance || told {
		return normal(b)
	}
	if b.Phase == notice.PhaseRescheduled {
		b.Was = slices.Clone(n.Body.Was)
	}
	if b, err = normal(b); err == nil {
		b.Was = withdrawn(b, n.Body)
	}
	return b, err
}

// withdrawn returns the old windows of an amendment, together with those that the amended notice told of and the amendment does not: calendars drop these.
func withdrawn(b, amended notice.Body) []notice.Window {
	was := b.Was
	for _, known := range [][]notice.Window{amended.Was, amended.Windows} {
		if from := max(len(was), len(b.Windows)); len(known) > from {
			if len(was) < from {
				was = nil // those before are windows of the amendment
				from = 0
			}
			for _, w := range known[from:] {
				w.Zone = cmp.Or(w.Zone, amended.Zone)
				was = append(was, w)
			}
		}
	}
	return was
}

// amended returns the notice that an amendment stops. It refuses one that can't be amended. It also refuses an amendment without a correction in
// a language in which somebody may have got that notice.
func (d *Desk) amended(ctx context.Context, b notice.Body) (n ledger.Notice, err error) {
	if n, err = d.findAmended(ctx, b); err != nil {
		return n, err
	}
	st, err := d.Ledger.Status(ctx, n.Key)
	if err != nil {
		return n, err
	}
	if err := n.Amendable(b, st.AmendedBy); err != nil {
		return n, err
	}
	return n, lacks(b, st.ByLanguage)
}

// lacks refuses an amendment without a correction in one of the languages of mails.
func lacks(b notice.Body, languages map[string]int) error {
	_, corrections, err := render.Corrections(b, b.Corrections)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(languages)) {
		if _, ok := corrections[key]; !ok {
			return render.LacksCorrection(key)
		}
	}
	return nil
}

func (d *Desk) findAmended(ctx context.Context, b notice.Body) (n ledger.Notice, err error) {
	n, err = d.find(ctx, b.Amends)
	if notice.CodeOf(err) == notice.CodeNotFound {
		err = notice.Invalid("amends", "there is no notice %q", b.Amends)
	}
	return n, err
}

// texts returns the plain texts of a new notice, per language. A file of templates that does not work refuses it.
func (d *Desk) texts(b notice.Body) (map[string]notice.Text, error) {
	set, err := d.Set.Current()
	if err != nil {
		return nil, err
	}
	texts, err := set.Texts(b)
	if err == nil && b.Amends != "" {
		texts, _, err = render.Corrections(b, texts)
	}
	return texts, err
}

// normalAmendment checks the fields of an amendment, as far as that can be done without the ledger. Its recipients and its time are those
// of the notice that it amends.
func normalAmendment(b notice.Body) error {
	switch {
	case b.Amends == "" && len(b.Corrections) > 0:
		return notice.Invalid("corrections", "go with amends, which names the notice to be corrected: tocsin notice amend KEY DIR")
	case b.Amends == "":
		return nil
	case !notice.ValidKey(b.Amends):
		return notice.Invalid("amends", "%q is not the key of a notice", b.Amends)
	case b.Amends == b.Key:
		return notice.Invalid("key", "is that of the notice to be amended: an amendment has a key of its own")
	case len(b.Corrections) == 0:
		return notice.Invalid("corrections", "are missing: write correction.<language>.md for readers who may have got the wrong text, beside each text")
	}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"audience", b.Audience.Given() || b.Audience.Empty != ""}, {"audience_at", b.AudienceAt != ""}, {"max_recipients", b.MaxRecipients != 0},
		{"broken_domains", len(b.BrokenDomains) > 0}, {"broken", len(b.Broken.Domains) > 0 || b.Broken.Filter != ""},
	} {
		if f.given {
			return notice.Invalid(f.name, "does not go with an amendment, which goes to the mailboxes of %q: leave it out", b.Amends)
		}
	}
	if len(b.Remind) > 0 {
		return notice.Invalid("remind", "does not go with an amendment, which cancels the reminders of %q: leave it out, and send the reminder as a notice of its own", b.Amends)
	}
	if b.Canary != 0 {
		return notice.Invalid("canary", "does not go with an amendment, which stops %q and puts it right at once: leave it out", b.Amends)
	}
	if b.SendAt != "" {
		return notice.Invalid("send_at", "does not go with an amendment, which stops %q and leaves at once: leave it out", b.Amends)
	}
	return nil
}

// programFor is that of the correction, or of the plain text.
func (p prepared) programFor(correction bool) *render.Program {
	if correction {
		return p.correction
	}
	return p.program
}

// programs are those of all mails of a notice.
func (p prepared) programs() []*render.Program {
	if p.correction == nil {
		return []*render.Program{p.program}
	}
	return []*render.Program{p.program, p.correction}
}
