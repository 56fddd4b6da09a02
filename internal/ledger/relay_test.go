package ledger_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func TestRelaysRestUntilTheyAreResumed(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	if _, err := d.RestRelay(ctx, "main", 0, "", "ada"); notice.CodeOf(err) != notice.CodeNotFound || !strings.Contains(err.Error(), "no worker has told") {
		t.Errorf("before any worker: %v", err)
	}
	d.must(d.KeepRelays(ctx, map[string]int{"main": 0, "austin": 0}))
	for what, err := range map[string]error{
		"rest":   failure(d.RestRelay(ctx, "mian", time.Hour, "", "ada")),
		"resume": failure(d.ResumeRelay(ctx, "mian", "ada")),
	} {
		if notice.CodeOf(err) != notice.CodeNotFound || !strings.Contains(err.Error(), "the workers have: austin, main") {
			t.Errorf("%s of an unknown relay: %v", what, err)
		}
	}
	r, err := d.RestRelay(ctx, "main", 0, "blocks us", "ada (laptop)")
	d.must(err)
	if r.Rest == nil || r.Rest.Until != nil || r.Rest.By != "ada (laptop)" || r.Rest.Reason != "blocks us" {
		t.Errorf("rests: %+v", r.Rest)
	}
	// Somebody else says for how long: the last word counts.
	r, err = d.RestRelay(ctx, "main", time.Hour, "", "bob")
	d.must(err)
	if left := time.Until(*r.Rest.Until); left < 59*time.Minute || left > 61*time.Minute || r.Rest.By != "bob" {
		t.Errorf("rests: %+v", r.Rest)
	}
	rests, err := d.Rests(ctx)
	d.must(err)
	if len(rests) != 1 || rests[0].Relay != "main" {
		t.Errorf("rests %+v", rests)
	}
	for range 2 { // the second changes nothing, and is not recorded
		if r, err = d.ResumeRelay(ctx, "main", "ada"); err != nil || r.Rest != nil {
			t.Errorf("resumed: %+v, %v", r, err)
		}
	}
	acts, err := d.Acts(ctx, notice.ActPage{Limit: 10})
	d.must(err)
	var log []string
	for _, a := range acts {
		log = append(log, a.Who+" "+a.What+" "+a.Detail)
	}
	want := []string{"ada resume relay main", "bob rest relay main, until " + rests[0].Until.Format(time.RFC3339), "ada rest relay main, until it is resumed: blocks us"}
	if strings.Join(log, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log:\n%s\nwant\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
}

func failure[A any](_ A, err error) error { return err }

func TestARestEndsByItself(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.must(d.KeepRelays(t.Context(), map[string]int{"main": 0}))
	_, err := d.RestRelay(t.Context(), "main", time.Hour, "", "ada")
	d.must(err)
	d.exec(`UPDATE relay SET rests_until = clock_timestamp()`)
	if rests, err := d.Rests(t.Context()); err != nil || len(rests) != 0 {
		t.Errorf("a rest that has ended: %+v, %v", rests, err)
	}
	if all, err := d.Relays(t.Context()); err != nil || len(all) != 1 || all[0].Rest != nil {
		t.Errorf("listed %+v, %v", all, err)
	}
}

// TestARelayThatNoFileHasAnyMore is forgotten after some weeks, unless it rests: it can be resumed, and can rest, by its name.
func TestARelayThatNoFileHasAnyMore(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.must(d.KeepRelays(t.Context(), map[string]int{"main": 0, "old": 0}))
	_, err := d.RestRelay(t.Context(), "old", 0, "", "ada")
	d.must(err)
	d.exec(`UPDATE relay SET seen_at = seen_at - interval '31 days' WHERE name = 'old'`)
	if all, err := d.Relays(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("listed %+v, %v", all, err)
	}
	_, err = d.ResumeRelay(t.Context(), "old", "ada")
	d.must(err)
	if all, err := d.Relays(t.Context()); err != nil || len(all) != 1 || all[0].Name != "main" {
		t.Errorf("listed %+v, %v", all, err)
	}
}

// TestManyTellOfRelaysAtOnce: workers and operators that come at once wait for each other, and none fails.
func TestManyTellOfRelaysAtOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.must(d.KeepRelays(t.Context(), map[string]int{"a": 0, "b": 0}))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if err := d.KeepRelays(t.Context(), map[string]int{"a": i, "b": 0, "c": 7}); err != nil {
				t.Error(err)
			}
			if _, err := d.RestRelay(t.Context(), "a", time.Hour, "", "ada"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
