package ledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func (d *desk) wantRows(want int, query string, args ...any) {
	d.t.Helper()
	var got int
	if d.must(d.pool.QueryRow(d.t.Context(), query, args...).Scan(&got)); got != want {
		d.t.Errorf("%d rows, want %d: %s", got, want, query)
	}
}

// dropPlans drops all the rows of plans that nobody needs any more.
func (d *desk) dropPlans() {
	d.t.Helper()
	for more := true; more; {
		var err error
		_, more, err = d.DropOldPlans(d.t.Context(), time.Hour)
		d.must(err)
	}
}

func TestADraftIsDeletedWithAllThatItHad(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 5)
	digest := d.freeze(b).Digest
	d.must(d.DeleteDraft(t.Context(), d.id, "ann"))
	if _, err := d.Find(t.Context(), "n1"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("the draft is still there: %v", err)
	}
	for _, err := range []error{
		func() error { _, err := d.Take(t.Context(), d.id, press(digest)); return err }(),
		func() error { _, err := d.Freeze(t.Context(), d.id, all(b)); return err }(),
		d.DeleteDraft(t.Context(), d.id, "ann"),
	} {
		if notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("got %v, want that there is no such notice", err)
		}
	}
	d.dropPlans()
	for _, table := range []string{"notice", "incident", "plan", "recipient", "member", "listed"} {
		d.wantRows(0, "SELECT count(*) FROM "+table)
	}
	if diff := cmp.Diff([]string{"ann: delete: draft n1"}, d.acts()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	// The key is free, and so is the kind of its incident.
	b.Kind, b.Phase = notice.Maintenance, "scheduled"
	_, created, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	if err != nil || !created {
		t.Errorf("a new draft of that key: created %v, %v", created, err)
	}
}

func TestOnlyADraftIsDeleted(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	if err := d.DeleteDraft(t.Context(), d.id, "ann"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("got %v, want a conflict", err)
	}
	d.wantCounts(map[string]int{"queued": 3})
}

// TestADeletionMeetsARelease, and a new draft of its incident: the notice goes as a whole, or nothing of it is left.
func TestADeletionMeetsARelease(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(30)
	for round := range 20 {
		b := d.draft("n"+string(rune('a'+round)), "")
		digest, id := d.freeze(b).Digest, d.id
		other := b
		other.Key += ".next"
		var all sync.WaitGroup
		var released bool
		var takeErr, deleteErr, draftErr error
		all.Go(func() { released, takeErr = d.Take(context.Background(), id, press(digest)) })
		all.Go(func() { deleteErr = d.DeleteDraft(context.Background(), id, "ann") })
		all.Go(func() {
			_, _, draftErr = d.PutDraft(context.Background(), ledger.Draft{Body: other, Texts: map[string]notice.Text{}, Who: "test"})
		})
		all.Wait()
		d.must(draftErr)
		switch {
		case released:
			if takeErr != nil || notice.CodeOf(deleteErr) != notice.CodeConflict {
				t.Fatalf("it was released, %v, and deleted: %v", takeErr, deleteErr)
			}
			d.wantCounts(map[string]int{"queued": 30})
		case notice.CodeOf(takeErr) != notice.CodeNotFound || deleteErr != nil:
			t.Fatalf("it was not released, %v, and not deleted: %v", takeErr, deleteErr)
		}
	}
}
