package ledger_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// store is a ledger in a fresh database, and a way past it.
type store struct {
	*ledger.DB
	pool *pgxpool.Pool
}

func openStore(t testing.TB) store {
	t.Helper()
	url := testkit.Postgres(t)
	db, err := ledger.Open(context.Background(), url, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return store{db, pool}
}

// exec runs statements that must succeed.
func (s store) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%v\nin %s", err, sql)
	}
}

// put keeps customers; their address keys are their addresses in lower case.
func (s store) put(t testing.TB, customers ...notice.Customer) {
	t.Helper()
	for _, c := range customers {
		if _, _, err := s.PutCustomer(t.Context(), rowOf(0, c)); err != nil {
			t.Fatal(err)
		}
	}
}

func rowOf(line int, c notice.Customer) notice.CustomerRow {
	return notice.CustomerRow{Line: line, Given: notice.GivenAll, Customer: c,
		EmailKey: strings.ToLower(c.Email), AlternateEmailKey: strings.ToLower(c.AlternateEmail)}
}

func TestCustomer(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	ctx := t.Context()
	full := notice.Customer{ID: "00123", Name: "Zoë \"Z\"", Email: "Zoe@Example.net", AlternateEmail: "z@example.org",
		Language: "nl", TimeZone: "Europe/Amsterdam", Attributes: map[string]string{"plan": "pro", "réseau": "a\tb"}}
	bare := notice.Customer{ID: "00123", Attributes: map[string]string{}}

	for _, step := range []struct {
		name    string
		put     notice.Customer
		created bool
		want    notice.Customer
	}{
		{"a new one is created", full, true, full},
		{"the same one again is not", full, false, full},
		{"another takes its place, all of it", notice.Customer{ID: "00123"}, false, bare},
		{"attributes without a value are absent", notice.Customer{ID: "00123", Attributes: map[string]string{"plan": ""}}, false, bare},
		{"ids differ by case", notice.Customer{ID: "a"}, true, notice.Customer{ID: "a", Attributes: map[string]string{}}},
		{"and by case alone", notice.Customer{ID: "A"}, true, notice.Customer{ID: "A", Attributes: map[string]string{}}},
	} {
		kept, created, err := db.PutCustomer(ctx, rowOf(0, step.put))
		if err != nil || created != step.created || !cmp.Equal(step.want, kept) {
			t.Errorf("%s: created %v, %v\n%s", step.name, created, err, cmp.Diff(step.want, kept))
		}
		got, err := db.Customer(ctx, step.put.ID)
		if err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}

	if err := db.DeleteCustomer(ctx, "00123"); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"00123", "", "never", "zero\x00byte", "\xff"} {
		if _, err := db.Customer(ctx, id); notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("Customer(%q): %v, want not_found", id, err)
		}
		if err := db.DeleteCustomer(ctx, id); notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("DeleteCustomer(%q): %v, want not_found", id, err)
		}
	}
}

func TestPutCustomerRefusesWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	for name, c := range map[string]notice.Customer{
		"no id":                    {},
		"an id too long to index":  {ID: strings.Repeat("x", 1001)},
		"a zero byte":              {ID: "1", Name: "a\x00b"},
		"what is no UTF-8":         {ID: "1", Name: "\xff"},
		"a zero byte in a value":   {ID: "1", Attributes: map[string]string{"plan": "\x00"}},
		"what is no UTF-8 in one":  {ID: "1", Attributes: map[string]string{"plan": "\xff"}},
		"what is no UTF-8 as name": {ID: "1", Attributes: map[string]string{"\xff": "pro"}},
	} {
		if _, _, err := db.PutCustomer(t.Context(), rowOf(0, c)); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func TestAttributeNamesAreThoseInUse(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	names := func() []string {
		t.Helper()
		got, err := db.AttributeNames(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := names(); len(got) != 0 {
		t.Errorf("with no customer: %v", got)
	}
	db.put(t, notice.Customer{ID: "1", Attributes: map[string]string{"plan": "pro", "Zone": "z", "gone": ""}},
		notice.Customer{ID: "2", Attributes: map[string]string{"plan": "free", "écran": "1"}}, notice.Customer{ID: "3"})
	if diff := cmp.Diff([]string{"Zone", "plan", "écran"}, names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := db.DeleteCustomer(t.Context(), "2"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Zone", "plan"}, names()); diff != "" {
		t.Errorf("after the last one who had it is gone (-want +got):\n%s", diff)
	}
}
