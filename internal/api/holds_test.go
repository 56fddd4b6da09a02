package api

import (
	"testing"
	"time"

	"tocsin/internal/notice"
)

func TestHoldsAreAddedListedAndRemoved(t *testing.T) {
	t.Parallel()
	from := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	until := from.Add(time.Hour)
	b := setup(t, func(o *Options) { o.Holds = []notice.Hold{{From: from, Until: &until}} })
	b.holds = []notice.Hold{{Number: 1, From: from, Until: &until, Owner: notice.HoldOfFile}}
	h, err := b.client.AddHold(t.Context(), nil, nil, "wrong text")
	if err != nil || h.Until != nil || !h.From.IsZero() || h.Owner != pressed {
		t.Errorf("added %+v, %v", h, err)
	}
	if h, err = b.client.AddHold(t.Context(), &from, &until, ""); err != nil || !h.From.Equal(from) || !h.Until.Equal(until) {
		t.Errorf("added %+v, %v", h, err)
	}
	b.holds[2].From = from.Add(time.Second)
	all, err := b.client.Holds(t.Context())
	if err != nil || len(all) != 3 || !all[0].InFile || all[1].InFile || all[2].InFile {
		t.Errorf("listed %+v, %v", all, err)
	}
	if h, err = b.client.RemoveHold(t.Context(), 2); err != nil || h.Reason != "wrong text" || b.who != pressed {
		t.Errorf("removed %+v by %s, %v", h, b.who, err)
	}
	if _, err = b.client.RemoveHold(t.Context(), 7); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("removed one that is not there: %v", err)
	}
	gone, before := time.Now().Add(-time.Minute), from.Add(-time.Minute)
	for name, span := range map[string][2]*time.Time{
		"over": {nil, &gone}, "backwards": {&from, &before}, "empty": {&from, &from}, "without an end": {&from, nil},
	} {
		if _, err := b.client.AddHold(t.Context(), span[0], span[1], ""); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
