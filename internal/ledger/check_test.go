package ledger

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"tocsin/internal/notice"
)

func TestWhatAPostgresLacksIsNamed(t *testing.T) {
	t.Parallel()
	well := server{Fsync: "on", FullPageWrites: "on", SynchronousCommit: "on", Encoding: "UTF8", MayCreate: true, MayIdentify: true, schema: 7, want: 7}
	for _, c := range []struct {
		name   string
		change func(*server)
		want   string // the fault: level and a part of the message
	}{
		{"nothing", func(*server) {}, ""},
		{"a replica", func(s *server) { s.Replica, s.ReadOnly = true, true }, "error a replica"},
		{"read-only", func(s *server) { s.ReadOnly = true }, "error read-only"},
		{"another encoding", func(s *server) { s.Encoding = "LATIN1" }, "error LATIN1"},
		{"fsync off", func(s *server) { s.Fsync = "off" }, "error fsync is off"},
		{"a pooler drops what the connection asks for", func(s *server) { s.SynchronousCommit = "local" }, "error synchronous_commit is local"},
		{"no tables", func(s *server) { s.schema = 0 }, "error not there yet"},
		{"an older schema", func(s *server) { s.schema = 6 }, "error version 6"},
		{"a newer schema", func(s *server) { s.schema = 8 }, "warning newer"},
		{"rights", func(s *server) { s.lacking = []string{"INSERT on delivery"} }, "error INSERT on delivery"},
		{"the identity", func(s *server) { s.MayIdentify = false }, "error which server this is"},
		{"commits wait for one of several", func(s *server) { s.replication.Setting = "ANY 1 (b, c)" }, "warning some standbys only"},
		{"the states of standbys", func(s *server) { s.replication = replication{"b", []string{"b"}, []string{""}} }, "warning can't see"},
		{"the standby", func(s *server) { s.mayMonitor, s.replication.Setting = true, "b" }, "warning not each is there"},
		{"nothing, with a standby", func(s *server) {
			s.mayMonitor, s.replication = true, replication{"b", []string{"b"}, []string{"sync"}}
		}, ""},
		{"no migrating, and none is due", func(s *server) { s.foreign = []string{"notice"} }, "warning can't migrate"},
		{"no migrating, and it is due", func(s *server) { s.MayCreate, s.schema = false, 6 }, "error version 6, error which is due"},
		{"a clock that is ahead", func(s *server) { s.ahead = 5 * time.Second }, "warning 5s ahead of"},
		{"a clock that is behind", func(s *server) { s.ahead = -2 * time.Hour }, "error 2h0m0s behind"},
		{"a slow line is no wrong clock", func(s *server) { s.ahead, s.uncertainty = 5*time.Second, 4*time.Second }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := well
			c.change(&s)
			var all, bad notice.Findings
			s.judge(&all)
			for _, f := range all {
				if f.Level != notice.LevelOK {
					bad = append(bad, f)
				}
			}
			expectFindings(t, bad, c.want)
		})
	}
}

// expectFindings is testkit.Findings, which this package's inner tests can't import.
func expectFindings(t *testing.T, got notice.Findings, want string) {
	t.Helper()
	var said, wanted []string
	for i, w := range strings.Split(want, ", ") {
		level, part, _ := strings.Cut(w, " ")
		if w == "" {
			break
		}
		wanted = append(wanted, level)
		if i < len(got) && !strings.Contains(got[i].Message, part) {
			t.Errorf("finding %d is %+v, want %q", i, got[i], w)
		}
	}
	for _, f := range got {
		said = append(said, string(f.Level))
	}
	if diff := cmp.Diff(wanted, said); diff != "" {
		t.Errorf("%+v: %s", got, diff)
	}
}

func TestAnOldPostgresIsNamed(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"9.6.24": "error Postgres 9.6.24 is too old", "14.9 (Debian 14.9-1)": "error Postgres 14.9 is too old",
		"15.8 (Debian 15.8-0)": "ok Postgres 15.8", "18beta1": "ok Postgres 18beta1", "": "error does not say",
	} {
		var f notice.Findings
		if goOn := checkVersion(&f, version); goOn != strings.HasPrefix(want, "ok") {
			t.Errorf("%q: goes on: %v", version, goOn)
		}
		expectFindings(t, f, want)
	}
	got := Check(t.Context(), oldServer(t, "14.9 (Debian 14.9-1.pgdg120+1)"))
	expectFindings(t, got, "ok reached, error Postgres 14.9 is too old")
	db, err := Open(t.Context(), oldServer(t, "14.9 (Debian 14.9-1.pgdg120+1)"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if why, ok := errors.AsType[notice.Unready](db.Ready(t.Context())); !ok || !strings.Contains(string(why), "too old") {
		t.Errorf("ready for it: %q", why)
	}
	if !strings.Contains(got[1].Advice, "15 or newer") {
		t.Errorf("says to do %q", got[1].Advice)
	}
}

// oldServer speaks as much of Postgres as it takes to connect, and says that it is of that version.
func oldServer(t *testing.T, version string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := pgproto3.NewBackend(c, c)
			if _, err := b.ReceiveStartupMessage(); err == nil {
				b.Send(&pgproto3.AuthenticationOk{})
				b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: version})
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				b.Flush()
				b.Receive() // until the client takes leave
			}
			c.Close()
		}
	}()
	return fmt.Sprintf("postgres://tocsin:hunter2@%s/tocsin?sslmode=disable", l.Addr())
}
