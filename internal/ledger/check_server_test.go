package ledger_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/testkit"
)

func TestAPostgresIsTried(t *testing.T) {
	t.Parallel()
	s := testkit.OwnServices(t) // which the tests run without fsync
	admin, err := pgx.Connect(t.Context(), s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close(t.Context()) })
	do := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	as := func(user, password, database string) string {
		u, err := url.Parse(s.DatabaseURL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, password)
		if database != "" {
			u.Path = "/" + database
		}
		return u.String()
	}
	var hba string
	if err := admin.QueryRow(t.Context(), `SHOW hba_file`).Scan(&hba); err != nil {
		t.Fatal(err)
	}
	do(`CREATE ROLE limited LOGIN PASSWORD 'right-one'`)
	do(`COPY (VALUES ('local all limited scram-sha-256'), ('local all tocsin trust')) TO '` + hba + `'`)
	do(`SELECT pg_reload_conf()`)

	const usual = "ok reached, ok Postgres, ok primary, error fsync is off, "
	for _, c := range []struct {
		name  string
		setUp string
		url   string
		want  string
	}{
		{"the owner", "", s.DatabaseURL, usual + "ok the schema, ok may do all, ok clocks"},
		{"a wrong password", "", as("limited", "hunter2", ""), "error refuses the password of user \"limited\""},
		{"an unknown user", "", as("nobody", "hunter2", ""), "error does not let user \"nobody\""},
		{"no such database", "", as("tocsin", "hunter2", "elsewhere"), "error there is no database \"elsewhere\""},
		{"nobody listens", "", "postgres://tocsin:hunter2@127.0.0.1:1/tocsin", "error nothing listens"},
		{"a name that is not known", "", "postgres://tocsin:hunter2@db.invalid/tocsin", "error db.invalid"},
		{"no URL", "", "postgres://tocsin:hunter2@127.0.0.1:port/tocsin", "error DATABASE_URL can't be read"},
		{"a user without rights", "", as("limited", "right-one", ""),
			usual + "error can't read the version, error SELECT; INSERT; UPDATE; DELETE on chunk, warning can't migrate, ok clocks"},
		{"a user who may work and not migrate", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited", as("limited", "right-one", ""),
			usual + "ok the schema, warning can't migrate, ok clocks"},
		{"a user who may not ask for the identity", "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public", as("limited", "right-one", ""),
			usual + "ok the schema, error which server this is, warning can't migrate, ok clocks"},
		{"a read-only database", "ALTER ROLE limited SET default_transaction_read_only = on; GRANT EXECUTE ON FUNCTION pg_control_system() TO limited", as("limited", "right-one", ""),
			strings.Replace(usual, "ok primary", "error read-only", 1) + "ok the schema, warning can't migrate, ok clocks"},
		{"an older schema", "UPDATE goose_db_version SET is_applied = false WHERE version_id > 1", s.DatabaseURL,
			usual + "error is at version 1, ok may do all, ok clocks"},
		{"no tables", "DROP SCHEMA public CASCADE; CREATE SCHEMA public", s.DatabaseURL, usual + "error not there yet, ok may do all, ok clocks"},
	} {
		// One after the other, as they change the same server.
		t.Run(c.name, func(t *testing.T) {
			if c.setUp != "" {
				do(c.setUp)
			}
			got := ledger.Check(t.Context(), c.url)
			want := strings.Split(c.want, ", ")
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], ";", ",")
			}
			testkit.Findings(t, got, want...)
			if told := fmt.Sprintf("%+v", got); strings.Contains(told, "hunter2") || strings.Contains(told, "right-one") {
				t.Errorf("it tells the password: %s", told)
			}
		})
	}
}
