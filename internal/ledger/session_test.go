package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestEachMarkIsAFenceCheck(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	w := d.worker("w", &mirror{})
	d.must(w.CompareMarks(t.Context()))
	c := d.claim("w")
	if granted, err := w.Commit(t.Context(), []ledger.Attempt{attempt(c, 0)}, nil); err != nil || !granted[0] {
		t.Fatalf("%v, %v", granted, err)
	}
	d.exec(`UPDATE mark_number SET number = 0`)
	if granted, err := w.Commit(t.Context(), []ledger.Attempt{attempt(c, 1)}, nil); err == nil {
		t.Errorf("a ledger that has lost marks granted %v", granted)
	}
	st, err := d.Status(t.Context(), d.ref)
	d.must(err)
	if st.State != notice.Held || st.Reason != notice.ReasonRestored {
		t.Errorf("the notice is %s (%s)", st.State, st.Reason)
	}
	if granted, err := w.Commit(t.Context(), []ledger.Attempt{attempt(c, 2)}, nil); err != nil || granted[0] {
		t.Errorf("after that: %v, %v", granted, err)
	}
}

func TestASuspendedProcessMarksNothing(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.Suspend(true)
	if d.mark(attempt(c, 0)) {
		t.Error("it marked")
	}
	d.Suspend(false)
	if !d.mark(attempt(c, 0)) {
		t.Error("it does not mark any more")
	}
}

// unready is why the ledger at a URL can't be kept.
func unready(t *testing.T, url string) string {
	t.Helper()
	db, err := ledger.Open(t.Context(), url, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	err = db.Ready(t.Context())
	why, ok := errors.AsType[notice.Unready](err)
	if !ok && err != nil {
		t.Errorf("not ready, and not for good: %v", err)
	}
	return string(why)
}

func TestSettingsOfAURLDoNotWin(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	if why := unready(t, url+"&synchronous_commit=off&jit=on"); why != "" {
		t.Errorf("not ready: %s", why)
	}
	if why := unready(t, url+"&default_transaction_read_only=on"); !strings.Contains(why, "can only be read") {
		t.Errorf("a read-only ledger is not ready: %q", why)
	}
}

// TestASettingThatDoesNotHoldIsNamed: a pooler may answer that it has set something, and set something else.
func TestASettingThatDoesNotHoldIsNamed(t *testing.T) {
	t.Parallel()
	line := testkit.NewLineThat(t, testkit.Postgres(t), func(b []byte) []byte {
		return bytes.Replace(b, []byte("'synchronous_commit', 'on', false"), []byte("'synchronous_commit', 'off',false"), 1)
	})
	if why := unready(t, line.URL); !strings.Contains(why, "synchronous_commit is off although it was set to on") {
		t.Errorf("not ready: %q", why)
	}
}

func TestADatabaseThatIsNotMigratedIsNotReady(t *testing.T) {
	t.Parallel()
	if why := unready(t, testkit.EmptyPostgres(t)); !strings.Contains(why, "run `tocsin migrate`") {
		t.Errorf("not ready: %q", why)
	}
}

// TestAPoolerByTransactionIsRefused goes through a real PgBouncer.
func TestAPoolerByTransactionIsRefused(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	dir := pgBouncer(t)
	if why := unready(t, pooled(t, dir, url, "session")); why != "" {
		t.Errorf("by session: %s", why)
	}
	through := pooled(t, dir, url, "transaction")
	if why := unready(t, through); !strings.Contains(why, "for a transaction at a time") {
		t.Errorf("by transaction: %q", why)
	}
	if f := ledger.Check(t.Context(), through); f.Count(notice.LevelError) != 1 {
		t.Errorf("check finds %+v", f)
	}
}

// pgBouncer copies Debian's to where its user can read it, and installs nothing. The test is skipped where that fails.
func pgBouncer(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for the user that it runs as
		t.Fatal(err)
	}
	unpacked, err := testkit.Debian(t.Context(), "pgbouncer")
	if err != nil {
		t.Skipf("PgBouncer can't be fetched: %v", err)
	}
	if err := os.CopyFS(dir, os.DirFS(unpacked)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// pooled returns the URL of a PgBouncer in front of a Postgres on a private socket. It runs as the owner of that socket.
func pooled(t *testing.T, dir, url, mode string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := os.Stat(cfg.Host)
	if err != nil {
		t.Skipf("Postgres has no private socket: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().(*net.TCPAddr)
	ln.Close()
	settings := filepath.Join(dir, mode+".ini")
	text := fmt.Sprintf("[databases]\n* = host=%s port=%d user=tocsin\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"+
		"auth_type = any\npool_mode = %s\n", cfg.Host, cfg.Port, at.Port, mode)
	if err := os.WriteFile(settings, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	pooler := exec.Command(filepath.Join(dir, "usr/sbin/pgbouncer"), settings)
	libraries, err := filepath.Glob(filepath.Join(dir, "usr/lib/*"))
	if err != nil {
		t.Fatal(err)
	}
	pooler.Env = []string{"LD_LIBRARY_PATH=" + strings.Join(libraries, ":")}
	if owner := socket.Sys().(*syscall.Stat_t); os.Getuid() == 0 {
		pooler.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	said := &strings.Builder{}
	pooler.Stderr = said
	if err := pooler.Start(); err != nil {
		t.Skipf("PgBouncer does not run here: %v", err)
	}
	t.Cleanup(func() {
		_ = pooler.Process.Kill()
		_ = pooler.Wait() // it was killed
		if t.Failed() {
			t.Log(said)
		}
	})
	for begin := time.Now(); ; {
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			conn.Close()
			return fmt.Sprintf("postgres://tocsin@%s/%s?sslmode=disable", at, cfg.Database)
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("PgBouncer does not listen: %v", err)
		}
	}
}
