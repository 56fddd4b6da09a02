package testkit_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"tocsin/internal/ledger"
	"tocsin/internal/testkit"
)

func TestEachTestHasItsOwnMigratedDatabase(t *testing.T) {
	t.Parallel()
	for range 2 {
		conn, err := pgx.Connect(t.Context(), testkit.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		// The same customer twice would break the primary key if the two were one database.
		if _, err := conn.Exec(t.Context(), `INSERT INTO customer (id) VALUES ('1')`); err != nil {
			t.Error(err)
		}
	}
}

func TestEachTestHasItsOwnQueue(t *testing.T) {
	t.Parallel()
	for range 2 {
		options, err := redis.ParseURL(testkit.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(options)
		defer client.Close()
		if ok, err := client.SetNX(t.Context(), "mine", "1", 0).Result(); err != nil || !ok {
			t.Errorf("set a key that another test can't have: %v, %v", ok, err)
		}
	}
}

func TestADatabaseIsGoneAfterItsTest(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("inner", func(t *testing.T) { url = testkit.Postgres(t) })
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("the database still is there")
	}
}

func TestOwnServicesKeepTheirDataThroughAStop(t *testing.T) {
	t.Parallel()
	s := testkit.OwnServices(t)
	if err := s.StopPostgres(true); err != nil {
		t.Fatal(err)
	}
	if err := s.StartPostgres(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var customers int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM customer`).Scan(&customers); err != nil {
		t.Error(err)
	}
}

func TestACopiedLedgerIsNoRestoredOne(t *testing.T) {
	t.Parallel()
	for range 2 {
		url := testkit.Postgres(t)
		db, err := ledger.Open(t.Context(), url, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		var raised bool
		if err := conn.QueryRow(t.Context(), `SELECT up FROM fence`).Scan(&raised); err != nil || raised {
			t.Errorf("a fence is raised: %v, %v", raised, err)
		}
	}
}
