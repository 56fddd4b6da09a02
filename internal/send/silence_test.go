package send

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// brief is how soon silence is noticed. It is long where none must be noticed: in that any machine gets to answer a
// mail.
const brief, long = 250 * time.Millisecond, time.Second

// watched are options with which silence is noticed soon, and the log.
func watched() (Options, diary) {
	o, d := usual, make(diary, 1000)
	o.Silence, o.patience, o.Logger = brief, brief/10, slog.New(d)
	return o, d
}

// listed makes a server a relay of that name, with so many connections.
func (s *server) listed(name string, connections int) Relay {
	r := s.relay()
	r.Name, r.Connections = name, connections
	return r
}

// holding serves, and answers the dots for which hold says so when release is closed.
func holding(t *testing.T, hold func(n int, to string) bool) (s *server, release chan struct{}) {
	t.Helper()
	s, release = newServer(t, map[string]act{}), make(chan struct{})
	s.ehlo = append(s.ehlo, "PIPELINING")
	s.holds = func(n int, to string) <-chan struct{} {
		if hold(n, to) {
			return release
		}
		return nil
	}
	s.start()
	return s, release
}

func always(int, string) bool { return true }

func TestARelayThatSwallowsDotsLeavesTheMailsToTheNext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connections, after int
	}{
		"from the first":   {6, 0},
		"after some mails": {6, 20},
		"on two":           {2, 0},
		"on one":           {1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, release := holding(t, func(n int, _ string) bool { return n > c.after })
			o, log := watched()
			p := pool(t, o, first.listed("first", c.connections), serve(t, nil).listed("second", 4))
			all := submit(p, 60, nil)
			all.takes(t, c.after, "first")
			all.takes(t, 60-c.after-c.connections, "second")
			log.await(t, "relay silent", "first")
			h := p.Health()[0]
			if h.State != notice.RelaySilent || h.Unanswered != c.connections || !strings.HasPrefix(h.Error, "mails without an answer: ") || p.Next() != "second" {
				t.Errorf("%+v; the next goes to %s", h, p.Next())
			}
			all.mu.Lock()
			if len(all.stuck) != c.connections {
				t.Errorf("%d mails no longer count against limits, want %d", len(all.stuck), c.connections)
			}
			all.mu.Unlock()
			if n := int(first.dots.Load()); n != c.after+c.connections {
				t.Errorf("%d dots, want one a connection and no more", n-c.after)
			}
			close(release)
			all.takes(t, c.connections, "first")
			log.await(t, "relay up", "first")
			submit(p, 10, nil).takes(t, 10, "first")
		})
	}
}

func TestASlowDomainBehindARelayThatAnswersOthersStopsNobody(t *testing.T) {
	t.Parallel()
	slow := func(_ int, to string) bool { return strings.HasPrefix(to, "m1") && to < "m17" } // m10 to m16
	first, release := holding(t, slow)
	o, _ := watched()
	o.Silence = long
	p := pool(t, o, first.listed("first", 16), serve(t, nil).listed("second", 4))
	all := submit(p, 100, nil)
	all.takes(t, 93, "first")
	for end := time.Now().Add(2 * long); time.Now().Before(end); {
		one := submit(p, 1, nil) // m0
		one.takes(t, 1, "first")
	}
	if h := p.Health()[0]; h.State != notice.RelayUp || h.Unanswered != 7 {
		t.Errorf("%+v", h)
	}
	close(release)
	all.takes(t, 7, "first")
}

// TestARelayThatTricklesLeavesTheMailsToTheNext: a relay that answers a mail now and then is as good as silent. It gets
// one mail for each that it answers.
func TestARelayThatTricklesLeavesTheMailsToTheNext(t *testing.T) {
	t.Parallel()
	drip := make(chan struct{})
	first := newServer(t, nil)
	first.holds = func(int, string) <-chan struct{} { return drip }
	first.start()
	o, log := watched()
	p := pool(t, o, first.listed("first", 8), serve(t, nil).listed("second", 4))
	all := submit(p, 40, nil)
	tick := time.NewTicker(brief * 2 / 3)
	defer tick.Stop()
	for answered, dripped := 0, 0; answered < 20; {
		select {
		case <-tick.C:
			drip <- struct{}{}
			if dripped++; dripped > 20 {
				t.Fatal("the other relay gets nothing")
			}
		case a := <-all.came:
			if a.Relay == "second" {
				answered++
			}
		}
	}
	log.await(t, "relay silent", "first")
	close(drip)
	all.left.Wait()
	log.await(t, "relay up", "first")
}

func TestARelayThatAnswersOneConnectionGoesOn(t *testing.T) {
	t.Parallel()
	first, release := holding(t, func(n int, _ string) bool { return n < 8 })
	o, _ := watched()
	o.Silence = long
	p := pool(t, o, first.listed("first", 8), serve(t, nil).listed("second", 4))
	all := submit(p, 20, nil)
	all.takes(t, 13, "first")
	for end := time.Now().Add(2 * long); time.Now().Before(end); {
		submit(p, 20, nil).takes(t, 20, "first")
	}
	close(release)
	all.takes(t, 7, "first")
}

// TestMailsThatARelaySwallowsBeforeTheDotGoToTheNext: before the dot there is nothing to wait for. The mails go to the
// next relay, each once.
func TestMailsThatARelaySwallowsBeforeTheDotGoToTheNext(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{atMAIL, atRCPT, atDATA} {
		for _, pipelining := range []bool{false, true} {
			t.Run(stage, func(t *testing.T) {
				t.Parallel()
				first := newServer(t, map[string]act{stage: {silent: true}})
				if pipelining {
					first.ehlo = append(first.ehlo, "PIPELINING")
				}
				first.start()
				o, log := watched()
				p := pool(t, o, first.listed("first", 6), serve(t, nil).listed("second", 4))
				all := submit(p, 30, nil)
				log.await(t, "relay silent", "first")
				all.takes(t, 30, "second") // those with which the relay is tried, too
				if n := first.dots.Load(); n != 0 {
					t.Errorf("%d dots", n)
				}
			})
		}
	}
}

// TestMailsWaitForTheOnlyRelay: with one relay the mails wait for it, longer than for one that can't be reached, and no
// mark is kept open for them.
func TestMailsWaitForTheOnlyRelay(t *testing.T) {
	t.Parallel()
	first, release := holding(t, always)
	o, log := watched()
	o.AcquireTimeout = brief / 2
	p := pool(t, o, first.listed("first", 4))
	all := submit(p, 20, nil)
	log.await(t, "relay silent", "first")
	for range 16 { // their permits were asked ahead
		if a := next(t, all.came); a.Outcome != notice.OutcomeLater || !a.NoDot || !a.OfRelay || a.Code != 0 {
			t.Fatalf("%+v", a)
		}
	}
	var jobs []*ringJob
	later := submit(p, 20, func(_ int, j *ringJob) { jobs = append(jobs, j) })
	p.mu.Lock()
	for _, j := range jobs {
		if j.asked > 0 {
			t.Errorf("a mark for %s was asked ahead", j.to)
		}
	}
	p.mu.Unlock()
	if _, err := p.Send(t.Context(), mail, &permit{}); !errors.Is(err, ErrNoRelay) || !strings.Contains(err.Error(), "answers none") {
		t.Errorf("a mail that somebody waits for: %v", err)
	}
	if n := len(later.came); n != 0 {
		t.Errorf("%d mails did not wait", n)
	}
	began := time.Now()
	close(release)
	all.takes(t, 4, "first")
	later.takes(t, 20, "first")
	if took := time.Since(began); took > time.Second {
		t.Errorf("sending went on after %s", took)
	}
	for to, n := range later.stuck {
		t.Errorf("%s was without an answer, %d times", to, n)
	}
}

func TestOfTwoRelaysThatSwallowTheFirstToAnswerGetsTheMails(t *testing.T) {
	t.Parallel()
	first, never := holding(t, always)
	second, release := holding(t, always)
	o, log := watched()
	p := pool(t, o, first.listed("first", 4), second.listed("second", 4))
	all := submit(p, 60, nil)
	log.await(t, "relay silent", "first")
	log.await(t, "relay silent", "second")
	close(release)
	log.await(t, "relay up", "second")
	later := submit(p, 20, nil)
	later.takes(t, 20, "second")
	close(never)
	all.left.Wait()
	if n := int(first.dots.Load() + second.dots.Load()); n > 60+20 {
		t.Errorf("%d dots", n)
	}
	for to, a := range all.answers {
		if a.Outcome != notice.OutcomeSent && !a.NoDot {
			t.Errorf("%s: %+v", to, a)
		}
	}
}

// TestAnAddressThatSwallowsDotsLeavesTheOtherItsConnections: a relay with two addresses, one of which swallows dots, is
// not silent. The other has half of the connections.
func TestAnAddressThatSwallowsDotsLeavesTheOtherItsConnections(t *testing.T) {
	t.Parallel()
	o, _ := watched()
	o.Silence = long
	begun, release := make(chan struct{}), make(chan struct{})
	a, b, r := twins(t, &o, func(a, b *server) {
		a.holds = func(n int, _ string) <-chan struct{} {
			if n == 1 {
				close(begun)
			}
			return release
		}
		b.holds = func(int, string) <-chan struct{} { return begun }
	})
	r.Connections = 8
	p := pool(t, o, r)
	all := submit(p, 60, nil)
	all.takes(t, 56, "test")
	for end := time.Now().Add(2 * long); time.Now().Before(end); {
		submit(p, 5, nil).takes(t, 1, "test") // of which at most four are stuck
	}
	if n := a.dots.Load(); n < 1 || n > 4 || b.accepted.Load() < 56 || p.Health()[0].State != notice.RelayUp {
		t.Errorf("%d and %d dots, %+v", a.dots.Load(), b.dots.Load(), p.Health())
	}
	close(release)
	all.takes(t, 4, "test")
}

func TestHaltLeavesTheAnswersOfASilentRelayToBeWaitedFor(t *testing.T) {
	t.Parallel()
	first, release := holding(t, always)
	o, log := watched()
	p := pool(t, o, first.listed("first", 4))
	all := submit(p, 4, nil)
	log.await(t, "relay silent", "first")
	waits := submit(p, 10, nil)
	p.Halt()
	waits.left.Wait()
	if waits.errs != 10 || len(all.came) != 0 {
		t.Errorf("%d of 10 were not tried, %d answers", waits.errs, len(all.came))
	}
	close(release)
	all.takes(t, 4, "first")
}

func TestNoRelayHasTheOpenMarksOfAnother(t *testing.T) {
	t.Parallel()
	first, release := holding(t, always)
	o, _ := watched()
	o.OpenMarks = 16
	p := pool(t, o, first.listed("first", 64), serve(t, nil).listed("second", 64))
	if n := p.Connections(); n != 8 {
		t.Errorf("%d connections, want 8: half of the open marks", n)
	}
	all := submit(p, 16, nil) // as a worker does
	all.takes(t, 8, "second")
	close(release)
	all.takes(t, 8, "first")
}
