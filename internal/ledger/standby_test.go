package ledger_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// TestAStandbyIsReadAndItsPromotionNoticed makes a standby of a server by stopping it and starting it as one.
func TestAStandbyIsReadAndItsPromotionNoticed(t *testing.T) {
	t.Parallel()
	own := testkit.OwnServices(t)
	db, err := ledger.Open(t.Context(), own.DatabaseURL, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	draft := func(key string) error {
		b := notice.Body{Key: key, Kind: notice.Outage, Phase: "identified"}
		_, _, err := db.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
		return err
	}
	if err := draft("before"); err != nil {
		t.Fatal(err)
	}

	if err := own.StopPostgres(false); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(own.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at.Query().Get("host"), "data", "standby.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := own.StartPostgres(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _ = db.Keys(t.Context()) // the connection of before is broken
	if st, err := db.Status(t.Context(), "before"); err != nil || st.State != notice.Draft {
		t.Errorf("read on a standby: %+v, %v", st, err)
	}
	if all, err := db.Notices(t.Context(), notice.Page{Limit: 10}); err != nil || len(all) != 1 {
		t.Errorf("listed on a standby: %+v, %v", all, err)
	}
	if _, err := db.Keys(t.Context()); err != nil {
		t.Errorf("tokens on a standby: %v", err)
	}
	if e, ok := errors.AsType[*pgconn.PgError](draft("there")); !ok || e.Code != "25006" {
		t.Errorf("written on a standby: %v", e)
	}

	admin, err := pgx.Connect(t.Context(), own.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	if _, err := admin.Exec(t.Context(), `SELECT pg_promote()`); err != nil {
		t.Fatal(err)
	}
	if err := draft("after"); err != nil {
		t.Errorf("written after the promotion: %v", err)
	}
	if s, err := db.Standing(t.Context()); err != nil || !s.Fenced {
		t.Errorf("the promotion was not noticed: %+v, %v", s, err)
	}
}
