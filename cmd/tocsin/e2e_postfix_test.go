package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// faultyLine stands between a worker and Postfix. Once sprung, its connections take turns. One lets a mail through and
// keeps the answer to its dot to itself; the next lets a mail through up to the dot.
type faultyLine struct {
	net.Listener
	to     string
	sprung chan struct{}

	mu       sync.Mutex
	unheard  int // answers that were kept back
	unsent   int // dots that were
	accepted int
}

func startFaultyLine(t *testing.T, to string) *faultyLine {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &faultyLine{Listener: ln, to: to, sprung: make(chan struct{})}
	go l.serve()
	t.Cleanup(func() { ln.Close() })
	return l
}

func (l *faultyLine) serve() {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.to)
		if err != nil {
			client.Close()
			continue
		}
		l.mu.Lock()
		l.accepted++
		keepDot := l.accepted%2 == 0
		l.mu.Unlock()
		go l.forth(client, server, keepDot)
		go l.back(client, server, keepDot)
	}
}

func (l *faultyLine) isSprung() bool {
	select {
	case <-l.sprung:
		return true
	default:
		return false
	}
}

var dot = []byte("\r\n.\r\n")

// forth copies the client's bytes; once sprung and told to keep a dot, up to the first one.
func (l *faultyLine) forth(client, server net.Conn, keepDot bool) {
	defer server.Close()
	var tail []byte // the bytes before, since a dot may come in parts
	b := make([]byte, 1<<15)
	for {
		n, err := client.Read(b)
		if seen := append(tail, b[:n]...); keepDot && l.isSprung() && bytes.Contains(seen, dot) {
			server.Write(b[:max(0, bytes.Index(seen, dot)+2-len(tail))])
			l.count(&l.unsent)
			io.Copy(io.Discard, client) // until the worker is dead
			return
		} else {
			tail = bytes.Clone(seen[max(0, len(seen)-len(dot)+1):])
		}
		if _, werr := server.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// back copies the server's answers; when sprung all but the answer to a dot, and nothing after it.
func (l *faultyLine) back(client, server net.Conn, keepDot bool) {
	b := make([]byte, 1<<15)
	for {
		n, err := server.Read(b)
		if !keepDot && l.isSprung() && bytes.Contains(b[:n], []byte("queued as")) {
			l.count(&l.unheard)
			io.Copy(io.Discard, server)
			return
		}
		if _, werr := client.Write(b[:n]); err != nil || werr != nil {
			client.Close()
			return
		}
	}
}

func (l *faultyLine) count(n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}

func (l *faultyLine) counts() (unheard, unsent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unheard, l.unsent
}

// sendOverFaultyLine sends a notice to a relay over a line that keeps answers and dots back, until its worker is killed.
// Another worker finishes the notice without that line.
func (s *system) sendOverFaultyLine(relay string, recipients int) *faultyLine {
	s.t.Helper()
	line := startFaultyLine(s.t, relay)
	s.env = append(s.env, "TOCSIN_SMTP_URL=smtp://"+line.Addr().String())
	s.customers(recipients)
	victim := s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	s.await("outage-1", "under way", sent(100))
	close(line.sprung)
	s.await("outage-1", "stuck at some dots", func(notice.Status) bool {
		unheard, unsent := line.counts()
		return unheard >= 3 && unsent >= 3
	})
	victim.kill()
	line.Close()
	s.env = append(s.env, "TOCSIN_SMTP_URL=smtp://"+relay)
	s.work()
	s.await("outage-1", "finished", finished)
	return line
}

func TestReconcileWithPostfix(t *testing.T) {
	t.Parallel()
	s := start(t)
	relay := startPostfix(t, s.sink.Addr())
	recipients := testkit.Size(500, 2000)
	line := s.sendOverFaultyLine(relay.address, recipients)
	uncertain := s.status("outage-1").Counts["uncertain"]
	unheard, unsent := line.counts()
	if uncertain < unheard+unsent || uncertain > openMarks {
		t.Fatalf("%d are uncertain; %d answers and %d dots were kept back", uncertain, unheard, unsent)
	}
	before := s.messageIDs("outage-1")

	// The mails that Postfix took are found; before the gate nothing else is done.
	first, code := s.reconcile(relay.log, "--requeue-missing")
	if code != exitFailed || first.Sent < unheard || first.Requeued != 0 || first.Sent+len(first.Missing) != uncertain || len(first.Missing) < unsent {
		t.Fatalf("exit code %d, %+v; want at least %d sent and %d missing of %d", code, first, unheard, unsent, uncertain)
	}
	begun := 0
	for _, m := range first.Missing {
		if !strings.HasPrefix(m.WhyNot, "not before ") {
			t.Errorf("before the gate: %+v", m)
		}
		if m.Log == "begun" {
			begun++
		}
	}
	if begun == 0 {
		t.Error("Postfix has logged no Message-ID of a mail that it did not get: nothing was shown")
	}
	if err := s.sink.WaitFor(t.Context(), recipients-len(first.Missing)); err != nil { // until Postfix has handed it on
		t.Error(err)
	}
	s.settled("outage-1", len(first.Missing))

	// Past the gate, but in a log that begins with the notice.
	s.passTheGate()
	if second, code := s.reconcile(relay.log, "--requeue-missing"); code != exitFailed || second.Sent+second.Requeued != 0 || !strings.HasPrefix(second.Missing[0].WhyNot, "the log must reach from ") {
		t.Errorf("a log that does not cover the attempts: exit code %d, %+v", code, second)
	}

	// In a log that covers them exactly those are sent again, once, under their old Message-ID.
	long := s.withYesterday(relay.log)
	third, code := s.reconcile(long, "--requeue-missing")
	if code != exitDone || third.Requeued != len(first.Missing) {
		t.Errorf("exit code %d, %+v", code, third)
	}
	st := s.await("outage-1", "finished", finished)
	if st.Counts["sent"] != recipients {
		t.Errorf("ended as %v", st.Counts)
	}
	if err := s.sink.WaitFor(t.Context(), recipients); err != nil {
		t.Error(err)
	}
	s.settled("outage-1", 0)
	delivered := s.delivered()
	for id, address := range before {
		mails := delivered[address]
		if len(mails) != 1 || mails[0].MessageID != id {
			t.Errorf("mailbox of %s has %d mails", id, len(mails))
		}
	}
	if fourth, code := s.reconcile(long, "--requeue-missing"); code != exitDone || fourth.Uncertain != 0 {
		t.Errorf("once more: exit code %d, %+v", code, fourth)
	}
	s.logged(first.Sent)
	t.Logf("%d uncertain: %d taken by Postfix, %d missing, %d of those with a Message-ID in its log", uncertain, first.Sent, len(first.Missing), begun)
}

// reconcile runs the command and reads its document.
func (s *system) reconcile(log string, args ...string) (doc reconciliation, code int) {
	s.t.Helper()
	out, errs, code := s.run(append([]string{"notice", "reconcile", "outage-1", "--json", "--maillog", log}, args...)...)
	if out == "" {
		s.t.Fatalf("exit code %d: %s", code, errs)
	}
	s.decode(out, &doc)
	return doc, code
}

// messageIDs are the address keys of a notice's deliveries by Message-ID.
func (s *system) messageIDs(key string) map[string]string {
	s.t.Helper()
	ids := map[string]string{}
	for _, row := range s.report(key) {
		a, err := audience.ParseAddress(row.Address)
		if err != nil {
			s.t.Fatal(err)
		}
		ids[row.MessageID] = a.Key()
	}
	return ids
}

func (s *system) connect() *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.services.DatabaseURL)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// passTheGate has 20 minutes go by for the uncertain mails.
func (s *system) passTheGate() {
	s.t.Helper()
	conn := s.connect()
	defer conn.Close(s.t.Context())
	for _, change := range []string{
		`UPDATE outcome SET at = at - interval '20 minutes' WHERE state = 5`,
		`UPDATE notice SET released_at = released_at - interval '20 minutes'`,
	} {
		if _, err := conn.Exec(s.t.Context(), change); err != nil {
			s.t.Fatal(err)
		}
	}
}

// withYesterday is a log with a line of the day before in front.
func (s *system) withYesterday(log string) string {
	s.t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		s.t.Fatal(err)
	}
	host := strings.Fields(string(text))[3]
	line := fmt.Sprintf("%s %s postfix/master[1]: daemon started -- version 3\n", time.Now().AddDate(0, 0, -1).Format(time.Stamp), host)
	return filepath.Join(s.write(map[string]string{"mail.log": line + string(text)}), "mail.log")
}

// logged checks that the ledger names for each settled mail the operator and the queue id.
func (s *system) logged(taken int) {
	s.t.Helper()
	rows := 0
	for _, row := range s.report("outage-1") {
		if strings.HasPrefix(row.Reason, "relay log, queue id ") {
			rows++
			if row.State != notice.DeliverySent || row.SMTPCode != 0 || row.SentAt == nil || !strings.HasSuffix(row.Reason, ", by "+notice.Actor(notice.FixedToken, operator())) || row.SMTPText == "" {
				s.t.Errorf("settled by the log: %+v", row)
			}
		}
	}
	if rows != taken {
		s.t.Errorf("%d rows were settled by the log, %d taken", rows, taken)
	}
	conn := s.connect()
	defer conn.Close(s.t.Context())
	var acts int
	err := conn.QueryRow(s.t.Context(), `SELECT count(*) FROM act WHERE what = 'reconcile' AND who = 'TOCSIN_TOKEN' AND note = $1`, operator()).Scan(&acts)
	if err != nil || acts != 2 {
		s.t.Errorf("%d acts (%v), want one for what was found and one for what was requeued", acts, err)
	}
}
