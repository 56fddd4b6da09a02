package control

import (
	"cmp"
	"context"
	"slices"

	"tocsin/internal/notice"
)

// moved fills in the fields that the notice of a moved maintenance leaves out: the windows that it had, and its audience. Both come from
// the notice that announced it last. The moved one goes to those who got, may have got or were owed the old times, and to those who
// are new to the audience.
func (d *Desk) moved(ctx context.Context, b notice.Body) (notice.Body, error) {
	told := b.Audience.Given() || b.Audience.Empty != ""
	if b.Kind != notice.Maintenance || b.Phase != notice.PhaseRescheduled || !notice.ValidKey(b.Key) || len(b.Was) > 0 && told {
		return b, nil
	}
	// A second press is compared with the fields that were filled in at the first.
	switch n, err := d.find(ctx, b.Key); {
	case err == nil && n.State.Released():
		if len(b.Was) == 0 {
			b.Was = slices.Clone(n.Body.Was)
		}
		if !told {
			b.Audience = n.Body.Audience
		}
		return b, nil
	case err != nil && notice.CodeOf(err) != notice.CodeNotFound:
		return b, err
	}
	before, err := d.Ledger.Announced(ctx, cmp.Or(b.Incident, b.Key), b.Key)
	if notice.CodeOf(err) == notice.CodeNotFound {
		return b, notice.Invalid("was", "no notice of incident %q has announced windows before: write the windows that it had, and an audience", cmp.Or(b.Incident, b.Key))
	}
	if err != nil {
		return b, err
	}
	if len(b.Was) == 0 {
		for _, w := range before.Body.Windows {
			w.Zone = cmp.Or(w.Zone, before.Body.Zone)
			b.Was = append(b.Was, w)
		}
	}
	if told {
		return b, nil
	}
	b.Audience = notice.Audience{Notice: before.Key, State: movedFor}
	for before.Body.Amends != "" { // an amendment has the audience of the notice that it stopped
		if before, err = d.find(ctx, before.Body.Amends); err != nil {
			return b, err
		}
	}
	b.Audience.IncludeNew = before.Body.Audience.Digest == ""
	return b, nil
}

// movedFor are states of an announcement's mails. Their readers hear that the maintenance was moved: the mail arrived, may have, or was
// owed. Of the readers who were owed it ledger.DB finds out who has not got it, and these read the plain text.
var movedFor = []notice.DeliveryState{notice.DeliveryQueued, notice.DeliverySending, notice.DeliverySent, notice.DeliveryDeferred, notice.DeliveryUncertain,
	notice.DeliveryCancelled, notice.DeliveryBounced}
