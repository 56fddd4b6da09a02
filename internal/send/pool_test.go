package send

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func mustSend(t *testing.T, p *Pool) notice.Answer {
	t.Helper()
	a, err := p.Send(t.Context(), mail, &permit{})
	if err != nil || a.Outcome != notice.OutcomeSent {
		t.Fatalf("got %+v, %v", a, err)
	}
	return a
}

func TestAConnectionIsReused(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := pool(t, usual, s.relay())
	for range 20 {
		mustSend(t, p)
	}
	if n := s.connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestARelayHasNoMoreConnectionsThanItsLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	first, second := s.relay(), serve(t, nil).relay()
	p := pool(t, usual, first, second)
	if got := p.Connections(); got != 2 {
		t.Errorf("Connections() = %d, want 2", got)
	}
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for range 10 {
				if a := mustSend(t, p); a.Relay != "test" {
					t.Errorf("a busy relay was passed over for %s", a.Relay)
				}
			}
		})
	}
	senders.Wait()
	if n := s.connections.Load(); n > 2 {
		t.Errorf("%d connections, want at most 2", n)
	}
	if n := s.accepted.Load(); n != 160 {
		t.Errorf("%d mails, want 160", n)
	}
}

func TestAnUnusedConnectionIsClosedWithQUIT(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	s := serve(t, map[string]act{atQUIT: {say: "221 bye", hangUp: true, then: func() { close(left) }}})
	o := usual
	o.IdleTimeout = time.Millisecond
	p := pool(t, o, s.relay())
	mustSend(t, p)
	<-left
	s.mu.Lock()
	s.script = nil
	s.mu.Unlock()
	mustSend(t, p)
}

func TestCloseTakesLeave(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	s := serve(t, map[string]act{atQUIT: {say: "221 bye", hangUp: true, then: func() { close(left) }}})
	p := pool(t, usual, s.relay())
	mustSend(t, p)
	p.Close()
	<-left
	if _, err := p.Send(t.Context(), mail, &permit{}); !errors.Is(err, ErrNoRelay) {
		t.Errorf("after Close: %v", err)
	}
}

// TestAConnectionLostWhileIdleHurtsNoMail: whatever a relay does to an idle connection, the mail that would have used
// it does not notice.
func TestAConnectionLostWhileIdleHurtsNoMail(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]string{"hung up": "", "421": "421 4.4.2 idle for too long\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			p := pool(t, usual, s.relay())
			for range 3 {
				mustSend(t, p)
				s.mu.Lock()
				for c := range s.conns {
					c.Write([]byte(say))
					c.Close()
					delete(s.conns, c)
				}
				s.mu.Unlock()
			}
			if n := s.connections.Load(); n != 3 {
				t.Errorf("%d connections, want 3", n)
			}
		})
	}
}

func TestAConnectionLostAtMAILHurtsNoMail(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := pool(t, usual, s.relay())
	mustSend(t, p)
	s.mu.Lock()
	s.script = map[string]act{atMAIL: {hangUp: true, once: true}}
	clear(s.fired)
	s.mu.Unlock()
	mustSend(t, p)
}

// TestAMailThatWasTakenIsNotSentAgainOnAnotherConnection has a relay that hangs up after every mail. The mail that
// takes the connection next finds it dead, while the one before has hardly heard its answer.
func TestAMailThatWasTakenIsNotSentAgainOnAnotherConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]act{atDot: {say: "250 taken", hangUp: true}})
	r := s.relay()
	r.Connections = 8
	p := pool(t, usual, r)
	const senders, each = 32, 50
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for range each {
				once := &permit{}
				if a, err := p.Send(t.Context(), mail, once); err != nil || a.Outcome != notice.OutcomeSent {
					t.Errorf("got %+v, %v", a, err)
				}
				if n := once.asked.Load(); n != 1 {
					t.Errorf("leave for the dot was asked %d times", n)
				}
			}
		})
	}
	all.Wait()
	if n := s.dots.Load(); n != senders*each {
		t.Errorf("the relay took %d mails, want %d", n, senders*each)
	}
}

func TestNothingIsTriedWithoutARelay(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]map[string]act{
		"hangs up before the greeting": {atGreeting: {hangUp: true}},
		"refuses in the greeting":      {atGreeting: {say: "554 5.3.2 no service"}},
		"is silent":                    {atGreeting: {silent: true}},
		"hangs up at EHLO":             {atEHLO: {hangUp: true}},
		"refuses EHLO":                 {atEHLO: {say: "550 no"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, script)
			o := usual
			o.AcquireTimeout = 100 * time.Millisecond
			leave := &permit{}
			a, err := pool(t, o, s.relay()).Send(t.Context(), mail, leave)
			if !errors.Is(err, ErrNoRelay) || a != (notice.Answer{}) || leave.asked.Load() != 0 {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
}

func TestTheEndOfContextEndsTheSearch(t *testing.T) {
	t.Parallel()
	o := usual
	o.AcquireTimeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, map[string]act{atEHLO: {then: cancel}})
	_, err := pool(t, o, s.relay()).Send(ctx, mail, &permit{})
	if !errors.Is(err, ErrNoRelay) {
		t.Errorf("got %v", err)
	}
}

func TestTheNextRelayServesUntilTheFirstIsBack(t *testing.T) {
	t.Parallel()
	first, second := newServer(t, nil), serve(t, nil)
	address := first.listener.Addr().String()
	first.listener.Close()

	a, b := first.relay(), second.relay()
	a.Name, b.Name = "one", "two"
	var log bytes.Buffer
	o := usual
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p := pool(t, o, a, b)
	if a := mustSend(t, p); a.Relay != "two" {
		t.Fatalf("went to %s", a.Relay)
	}

	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	first.listener = l
	first.start()
	for mustSend(t, p).Relay != "one" {
		if t.Context().Err() != nil {
			t.Fatal("the first relay never came back")
		}
	}
	for _, event := range []string{`msg="relay down" relay=one`, `msg="relay up" relay=one`} {
		if strings.Count(log.String(), event) != 1 {
			t.Errorf("no single %q in\n%s", event, &log)
		}
	}
}

func TestARelayThatTakesFewerConnectionsServesOnThose(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	var once sync.Once
	// The first connection is served; others are refused as long as it is there.
	s.script = map[string]act{atEHLO: {say: "250 test", then: func() {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.script[atGreeting] = act{say: "421 4.7.0 too many connections", hangUp: true}
		})
	}}}
	s.start()
	p := pool(t, usual, s.relay())
	mustSend(t, p)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for range 20 {
				mustSend(t, p)
			}
		})
	}
	senders.Wait()
}

// TestAMailCountsAgainstTheRelayThatItGoesTo has a first relay that serves on one connection and refuses all others. A
// mail that was counted as the second's does not slip through to it.
func TestAMailCountsAgainstTheRelayThatItGoesTo(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.script = map[string]act{atEHLO: {say: "250 test", once: true, then: func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.script[atGreeting] = act{say: "421 4.3.2 going down", hangUp: true}
	}}}
	s.start()
	first, second := s.relay(), serve(t, nil).relay()
	first.Name, second.Name, first.Connections, second.Connections = "first", "second", 4, 4
	p := pool(t, usual, first, second)
	mustSend(t, p)
	var senders sync.WaitGroup
	var mu sync.Mutex
	went := map[[2]string]int{}
	for range 4 {
		senders.Go(func() {
			for range 100 {
				m := mail
				m.Via = p.Next()
				a, err := p.Send(t.Context(), m, &permit{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				went[[2]string{m.Via, a.Relay}]++
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	// Those that ask before the first refusal is known are counted as the first's in any case.
	if went[[2]string{"second", "first"}] > 0 || went[[2]string{"first", "first"}] == 0 || went[[2]string{"second", "second"}] == 0 {
		t.Errorf("counted and gone: %v", went)
	}
	m := mail
	m.Via = "second"
	if a, err := p.Send(t.Context(), m, &permit{}); err != nil || a.Relay != "second" || p.Next() != "first" {
		t.Errorf("counted as the second's it went to %s (%v); the next is to go to %s", a.Relay, err, p.Next())
	}
}

func TestLogsHoldNoAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.ehlo = []string{"AUTH PLAIN"}
	s.start()
	var log bytes.Buffer
	o := usual
	o.Logger, o.AcquireTimeout = slog.New(slog.NewTextHandler(&log, nil)), 300*time.Millisecond
	r := s.relay()
	r.User, r.Password = "ada", "hunter2"
	p := pool(t, o, r)
	if _, err := p.Send(t.Context(), mail, &permit{}); err == nil {
		t.Fatal("logged in with a wrong password")
	}
	if got := log.String(); !strings.Contains(got, "relay down") || strings.Contains(got, "@") || strings.Contains(got, "hunter2") {
		t.Errorf("logged %s", got)
	}
}

func TestRelaysOfOneNameAreToldApart(t *testing.T) {
	t.Parallel()
	p := New([]Relay{{Host: "a"}, {Host: "a"}, {Name: "b", Host: "a"}, {Host: "a"}}, Options{})
	var names []string
	for _, r := range p.relays {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "a a-2 b a-3" {
		t.Errorf("got %s", got)
	}
	if got := p.Connections(); got != DefaultConnections {
		t.Errorf("Connections() = %d", got)
	}
}

// shortWriter takes so many bytes of a write and then fails.
type shortWriter struct {
	*net.TCPConn
	takes int
}

func (w shortWriter) Write(b []byte) (int, error) {
	n := min(w.takes, len(b))
	return n, errors.New("the network is down")
}

func TestAShortWriteOfTheDotIsNoDotOnPlainTCPAlone(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for _, c := range []struct {
		takes   int
		secure  bool
		want    notice.Outcome
		noDot   bool
		written bool // the dot was, and its answer may come
	}{
		{0, false, notice.OutcomeLater, true, false},
		{5, false, notice.OutcomeLater, true, false},
		{6, false, 0, false, true},
		{9, false, 0, false, true},
		{0, true, notice.OutcomeUncertain, false, false},
		{5, true, notice.OutcomeUncertain, false, false},
		{9, true, notice.OutcomeUncertain, false, false},
	} {
		short := shortWriter{raw.(*net.TCPConn), c.takes}
		o := usual.withDefaults()
		k := &conn{o: &o, raw: short, text: textproto.NewConn(short), secure: c.secure}
		k.out = []byte("x\r\n.\r\nMAIL FROM:<>\r\n")
		a, written := k.dot(time.Now().Add(time.Minute), 6)
		if a.Outcome != c.want || a.NoDot != c.noDot || !k.broken || written != c.written {
			t.Errorf("takes %d, TLS %v: %+v", c.takes, c.secure, a)
		}
	}
}
