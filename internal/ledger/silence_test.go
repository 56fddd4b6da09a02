package ledger_test

import (
	"context"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// through is the desk's ledger over a line that can fall silent.
func (d *desk) through(line *testkit.Line) *ledger.DB {
	d.t.Helper()
	db, err := ledger.Open(d.t.Context(), line.URL, ledger.Options{})
	d.must(err)
	d.t.Cleanup(db.Close)
	return db
}

func TestASilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	line := testkit.NewLine(t, d.url)
	db := d.through(line)
	d.must(db.Ready(t.Context()))
	line.FallSilent()
	line.Mend()
	<-time.After(1100 * time.Millisecond) // the pool trusts one that has rested for less
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := db.Ready(ctx); err != nil {
		t.Errorf("over a new line: %v", err)
	}
}

// TestTheLocksOfASilentConnectionEnd has a release fall silent while an erasure waits for it.
func TestTheLocksOfASilentConnectionEnd(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestASilentConnectionIsGivenUp")
	d := release(t, 2)
	line := testkit.NewLine(t, d.url)
	body := notice.Body{Key: "n2", Incident: "n2", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en"}
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: body, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
	d.must(err)
	a := all(body)
	silent := make(chan struct{})
	a.Judge = func() error {
		line.FallSilent()
		close(silent)
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if r, err := d.through(line).Release(ctx, id, a, ledger.Press{Domain: "example.net", Who: "test"}); err == nil {
			t.Errorf("released over a silent line: %+v", r)
		}
	}()
	select {
	case <-silent:
	case <-ended:
		t.Fatal("the release never came as far")
	}
	erasing, done := context.WithTimeout(t.Context(), 5*time.Minute)
	defer done()
	if err := d.DeleteCustomer(erasing, "c1"); err != nil {
		t.Errorf("while a silent connection holds locks: %v", err)
	}
	cancel()
	<-ended
}
