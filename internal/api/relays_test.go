package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func TestRelaysRestAndAreResumed(t *testing.T) {
	t.Parallel()
	pace := &notice.Pace{Relays: []notice.RelayHealth{{Worker: "w1", Relay: "main", State: "up"}, {Worker: "w2", Relay: "main", State: "resting"}}}
	b := setup(t, func(o *Options) { o.Pace = func(context.Context) (*notice.Pace, error) { return pace, nil } })
	b.relays = []notice.Relay{{Name: "main"}, {Name: "smtp://a b/ü"}}
	list, err := b.client.Relays(t.Context())
	if err != nil || len(list.Relays) != 2 || len(list.Relays[0].Workers) != 2 || list.Relays[1].Workers == nil || list.Unheard {
		t.Errorf("listed %+v, %v", list, err)
	}
	r, err := b.client.RestRelay(t.Context(), "smtp://a b/ü", 90*time.Minute, "blocks us")
	if err != nil || r.Rest.By != pressed || r.Rest.Reason != "blocks us" || b.span != 90*time.Minute {
		t.Errorf("rests %+v for %v, %v", r, b.span, err)
	}
	if r, err = b.client.RestRelay(t.Context(), "main", 0, ""); err != nil || b.span != 0 {
		t.Errorf("rests %+v for %v, %v", r, b.span, err)
	}
	if r, err = b.client.ResumeRelay(t.Context(), "main"); err != nil || r.Rest != nil || b.who != pressed {
		t.Errorf("resumed %+v by %s, %v", r, b.who, err)
	}
	for _, span := range []time.Duration{-time.Hour, time.Millisecond, 400 * 24 * time.Hour} {
		if _, err := b.client.RestRelay(t.Context(), "main", span, ""); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("for %v: %v", span, err)
		}
	}
	if _, err := b.client.ResumeRelay(t.Context(), "mian"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("resumed one that is not there: %v", err)
	}
	pace = &notice.Pace{Unheard: true}
	if list, err = b.client.Relays(t.Context()); err != nil || !list.Unheard || len(list.Relays) != 2 {
		t.Errorf("without Redis: %+v, %v", list, err)
	}
	b.fail = errors.New("no")
	if _, err := b.client.RestRelay(t.Context(), "main", 0, ""); err == nil {
		t.Error("a rest that the ledger did not keep is reported as kept")
	}
}
