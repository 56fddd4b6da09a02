package ledger_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/migrations"
)

// later is the version of a schema that is still to come.
const later = 9999

type migration struct {
	name, text string
	version    int64
}

func migrationsFrom(t *testing.T, first int64) (all []migration) {
	t.Helper()
	entries, err := migrations.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		version, err := goose.NumericComponent(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		text, err := migrations.FS.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if version >= first {
			all = append(all, migration{e.Name(), string(text), version})
		}
	}
	return all
}

// TestEachMigrationSaysWhoMayGoOn reads it in the first statement of each, and in the CHANGELOG.
func TestEachMigrationSaysWhoMayGoOn(t *testing.T) {
	t.Parallel()
	changes, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	const makesTheFunction = 38
	comment := regexp.MustCompile(`(?m)^--.*\n|\n`)
	for _, m := range migrationsFrom(t, makesTheFunction) {
		text := comment.ReplaceAllString(m.text, "")
		if m.version == makesTheFunction {
			text = text[strings.Index(text, "SELECT schema_change("):]
		}
		var version, oldest int64
		if _, err := fmt.Sscanf(text, "SELECT schema_change(%d, %d);", &version, &oldest); err != nil || version != m.version || oldest > version || oldest < makesTheFunction {
			t.Errorf("%s does not begin with SELECT schema_change(%d, OLDEST): migrations/embed.go says how", m.name, m.version)
			continue
		}
		said := fmt.Sprintf("schema %d, workers of the version before stop", version)
		if oldest < version {
			said = fmt.Sprintf("schema %d, workers of the version before go on", version)
		}
		if !strings.Contains(strings.Join(strings.Fields(string(changes)), " "), said) {
			t.Errorf("%s changes the schema, and CHANGELOG.md does not say %q", m.name, said)
		}
	}
}

func TestAProgramGoesOnOnALaterSchemaThatServesIt(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a := attempt(d.claim("a"), 0)
	d.exec(`SELECT schema_change($1, (SELECT oldest FROM schema_serves ORDER BY version DESC LIMIT 1))`, later) // while a worker holds a lease
	d.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, later)
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if !d.mark(a) {
		t.Error("it does not mark")
	}
	if !slices.ContainsFunc(ledger.Check(t.Context(), d.url), func(f notice.Finding) bool {
		return f.Level == notice.LevelOK && strings.Contains(f.Message, "newer than this program's")
	}) {
		t.Error("check does not say that it may go on")
	}
	d.exec(`UPDATE schema_serves SET oldest = version WHERE version = $1`, later)
	if _, err := d.Sweep(t.Context()); err == nil {
		t.Error("the sweep does not say that the schema serves it no more")
	}
}

// TestNothingIsClaimedOnceAMigrationStopsAProgram which has not looked at the schema since.
func TestNothingIsClaimedOnceAMigrationStopsAProgram(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.exec(`SELECT schema_change($1, $1)`, later)
	d.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, later)
	if c, ok, err := d.Claim(t.Context(), d.chunksWhere("true")[0], "a"); ok || err == nil || !strings.Contains(err.Error(), "start the newer version of Tocsin") {
		t.Errorf("claimed %+v, %v: %v", c, ok, err)
	}
	d.wantRows(0, `SELECT count(*) FROM chunk WHERE lease_until IS NOT NULL`)
}

func TestAMigrationThatStopsWorkersWaitsForTheirLeases(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	c := d.claim("a")
	_, err := d.pool.Exec(t.Context(), `SELECT schema_change($1, $1)`, later)
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "55006" || !strings.Contains(e.Message, "stop all workers of the version before") {
		t.Errorf("under a lease it says %v", err)
	}
	d.closeChunk(c)
	d.exec(`SELECT schema_change($1, $1)`, later)
	d.wantRows(1, `SELECT count(*) FROM schema_serves WHERE version = $1 AND oldest = $1`, later)
}
