package main

import (
	"flag"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// The tests in this file are short by themselves and ask for the order of events alone, which a busy machine doesn't
// change. With -limits they are the benchmark that prints the figures of docs/performance.md: make limits.
var limitsAtLength = flag.Bool("limits", false, "TestLimits… at length, with the bounds of the promise")

// size is the short or the long one of two.
func size[T any](short, long T) T {
	if *limitsAtLength {
		return long
	}
	return short
}

// alongside lets a test run in parallel with others, unless it measures.
func alongside(t *testing.T) {
	if !*limitsAtLength {
		t.Parallel()
	}
}

// arrivals is when mails came, by notice and domain.
type arrivals struct {
	gate  *gate
	holds string // the mails that go through the gate have this text

	mu sync.Mutex
	at map[string][]time.Time
	to map[string]int // mails by notice and mailbox
}

func (a *arrivals) add(m sink.Mail) {
	a.note(m, time.Now())
	if a.holds != "" && strings.Contains(m.Raw, a.holds) {
		a.gate.pass(m)
	}
}

func (a *arrivals) note(m sink.Mail, now time.Time) {
	_, rest, _ := strings.Cut(m.Raw, "\nX-Notice: ")
	key, _, _ := strings.Cut(rest, "\r\n")
	_, domain, _ := strings.Cut(m.RcptTo[0], "@")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[key] = append(a.at[key], now)
	a.at[domain] = append(a.at[domain], now)
	a.to[key+" "+m.RcptTo[0]]++
}

// await waits until so many mails of a notice came, for three minutes at most.
func (a *arrivals) await(t *testing.T, key string, n int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); len(a.of(key)) < n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d mails of %s have come, want %d", len(a.of(key)), key, n)
		}
	}
}

// of returns the times of a notice or a domain, the earliest first.
func (a *arrivals) of(what string) []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Clone(a.at[what])
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// twice is how many mailboxes got a notice more than once.
func (a *arrivals) twice() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, mails := range a.to {
		if mails > 1 {
			n++
		}
	}
	return n
}

// between counts those of sorted times that lie in a window.
func between(at []time.Time, from, to time.Time) int {
	lo, _ := slices.BinarySearchFunc(at, from, time.Time.Compare)
	hi, _ := slices.BinarySearchFunc(at, to, time.Time.Compare)
	return hi - lo
}

// startLimited sets up a system with settings from a file instead of TOCSIN_SMTP_URL; RELAY stands for the sink.
func startLimited(t *testing.T, slowBy time.Duration, settings string) (*system, *arrivals) {
	t.Helper()
	return startLimitedOn(t, sharedServices(t), slowBy, settings)
}

func startLimitedOn(t *testing.T, services *local.Services, slowBy time.Duration, settings string, more ...string) (*system, *arrivals) {
	t.Helper()
	a := &arrivals{gate: newGate(t), at: map[string][]time.Time{}, to: map[string]int{}}
	s := startOn(t, services, sink.Options{Keep: 1, SlowBy: slowBy, OnMail: a.add}, more...)
	s.env = slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, "TOCSIN_SMTP_URL=") })
	dir := s.write(map[string]string{"tocsin.yaml": strings.ReplaceAll(settings, "RELAY", s.sink.Addr().String())})
	s.env = append(s.env, "TOCSIN_CONFIG="+filepath.Join(dir, "tocsin.yaml"))
	return s, a
}

// mailboxes imports n customers with the addresses that make returns.
func (s *system) mailboxes(n int, make func(i int) string) {
	s.t.Helper()
	var b strings.Builder
	b.WriteString("id,name,email,language,group\n")
	for i := range n {
		address := make(i)
		_, domain, _ := strings.Cut(address, "@")
		fmt.Fprintf(&b, "m%d,Customer %d,%s,en,%s\n", i, i, address, strings.TrimSuffix(domain, ".example"))
	}
	var r notice.ImportReport
	file := filepath.Join(s.write(map[string]string{"customers.csv": b.String()}), "customers.csv")
	if s.must(&r, "customers", "import", file, "--json"); r.Inserted != n {
		s.t.Fatalf("imported %+v, want %d", r, n)
	}
}

// worst is the largest deviation from a rate, in per cent of it, over all windows of so much, each a second later.
func worst(at []time.Time, rate float64, from, to time.Time, window time.Duration) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for w := from; !w.Add(window).After(to); w = w.Add(time.Second) {
		off := 100 * (float64(between(at, w, w.Add(window)))/(rate*window.Seconds()) - 1)
		low, high = min(low, off), max(high, off)
	}
	return low, high
}

// TestLimitsAreKept has four workers keep to the rate of a relay and of a domain; one of them comes while they send,
// and one is killed. Unless at length, all that counts is that mails are never ahead of the rate.
func TestLimitsAreKept(t *testing.T) {
	alongside(t)
	const rate, ofDomain = 200.0, 30.0
	span := size(6*time.Second, 60*time.Second)
	s, came := startLimited(t, time.Second, fmt.Sprintf("relays:\n  - {name: main, url: \"smtp://RELAY\", rate: %.0f/s}\n"+
		"limits:\n  - {domain: limited.example, rate: %.0f/s}\n", rate, ofDomain))
	s.mailboxes(int(2*rate*span.Seconds()), func(i int) string {
		return fmt.Sprintf("m%d@%s", i, [...]string{"limited.example", "free.example", "free.example", "free.example", "free.example"}[i%5])
	})
	for range 2 {
		s.work()
	}
	victim := s.work()
	pressed := time.Now()
	s.must(nil, "notice", "send", s.notice("limited-1"), "--yes")
	s.await("limited-1", "under way", sent(1))
	total := int(rate * span.Seconds())
	came.await(t, "limited-1", total/3)
	s.work()
	came.await(t, "limited-1", total*2/3)
	victim.kill()
	came.await(t, "limited-1", total)
	s.must(nil, "notice", "cancel", "limited-1")
	for _, limit := range []struct {
		what, of string
		rate     float64
	}{{"relay", "limited-1", rate}, {"domain", "limited.example", ofDomain}} {
		at := came.of(limit.of)
		if *limitsAtLength {
			steady(t, limit.what, at, limit.rate)
		}
		for i, came := range at { // a second's worth may be saved up
			if allowed := limit.rate * (1 + came.Sub(pressed).Seconds()); float64(i+1) > allowed {
				t.Fatalf("%s at %.0f/s: mail %d came %v after the release", limit.what, limit.rate, i+1, came.Sub(pressed))
			}
		}
	}
	if n := came.twice(); n > 0 {
		t.Errorf("%d mailboxes got two mails", n)
	}
}

// steady prints how far mails were from a rate, from their second second on, and fails beyond 2 %.
func steady(t *testing.T, what string, at []time.Time, rate float64) {
	t.Helper()
	const window, bound = 10 * time.Second, 2.0
	first, last := at[0], at[len(at)-1]
	low, high := worst(at, rate, first.Add(time.Second), last, window)
	t.Logf("%s at %.0f/s, four workers, one of which joined and one was killed: %+.1f %% to %+.1f %% over windows of %v in %.0f s",
		what, rate, low, high, window, last.Sub(first).Seconds())
	var each []int
	for w := first; w.Before(last); w = w.Add(time.Second) {
		each = append(each, between(at, w, w.Add(time.Second)))
	}
	t.Logf("%s, mails in each second: %v", what, each)
	if high > bound || low < -bound || math.IsInf(high, 0) { // all was out within a window
		t.Errorf("%s: beyond -%.0f %% to +%.0f %%", what, bound, bound)
	}
}

// TestLimitsOfOneDomainHoldUpNoOther sends to a fast domain, to a slow one, and to one with a low rate. The slow one
// answers nothing until the fast one has all of its mails. At length, it answers late, without a limit.
func TestLimitsOfOneDomainHoldUpNoOther(t *testing.T) {
	alongside(t)
	fast, slow, limited := size(500, 20_000), size(400, 1000), size(300, 600)
	limits := size("  - {domain: limited.example, rate: 5/m}\n  - {domain: late.example, connections: 2}\n", "  - {domain: limited.example, rate: 10/s}\n")
	s, came := startLimited(t, time.Second, "relays:\n  - {name: main, url: \"smtp://RELAY\"}\nlimits:\n"+limits)
	s.mailboxes(fast+slow+limited, func(i int) string {
		switch i := i * 7919 % (fast + slow + limited); { // mixed
		case i < slow:
			return fmt.Sprintf(size("m%d@late.example", "slow%d@late.example"), i) // the sink answers the latter late
		case i < slow+limited:
			return fmt.Sprintf("m%d@limited.example", i)
		}
		return fmt.Sprintf("m%d@fast.example", i)
	})
	for range 2 {
		s.work()
	}
	if !*limitsAtLength {
		came.holds = "@late.example"
		came.gate.shut(0)
	}
	s.must(nil, "notice", "send", s.notice("alone-1", `audience: 'group = "fast"'`), "--yes")
	s.await("alone-1", "finished", finished)
	s.must(nil, "notice", "send", s.notice("beside-1"), "--yes")
	came.await(t, "fast.example", 2*fast)
	at := came.of("fast.example")
	left := func(domain string, of int) int { return of - between(came.of(domain), time.Time{}, at[len(at)-1]) }
	if late, later := left("late.example", slow), left("limited.example", limited); late == 0 || later == 0 {
		t.Errorf("the fast ones waited for others: %d late ones and %d with a rate were still to come", late, later)
	}
	if *limitsAtLength {
		s.await("beside-1", "finished", finished)
		printBeside(t, came, fast)
	} else {
		s.must(nil, "notice", "cancel", "beside-1")
		came.gate.open()
		s.await("beside-1", "finished", finished)
	}
	if n := came.twice(); n > 0 {
		t.Errorf("%d mailboxes got two mails", n)
	}
}

// printBeside prints how long fast mails took, alone and then among others. It fails if the mails with a rate took
// longer or shorter than the rate explains.
func printBeside(t *testing.T, came *arrivals, fast int) {
	t.Helper()
	took := func(at []time.Time) float64 { return at[len(at)-1].Sub(at[0]).Seconds() }
	at, late, limited := came.of("fast.example"), came.of("late.example"), came.of("limited.example")
	t.Logf("%d fast mails: alone in %.1f s; in %.1f s beside %d that are answered after a second (%.1f s) and %d limited to 10/s (%.1f s)",
		fast, took(at[:fast]), took(at[fast:]), len(late), took(late), len(limited), took(limited))
	if least := 0.8 * float64(len(limited)-1) / 10; took(limited) < least-0.2 || took(limited) > 2.5*least+10 {
		t.Errorf("%d mails at 10/s took %.1f s", len(limited), took(limited))
	}
}

// TestLimitsGoToTheUrgent releases an outage while a maintenance notice is being mailed.
func TestLimitsGoToTheUrgent(t *testing.T) {
	alongside(t)
	for _, c := range []struct {
		name, rate      string
		mailing, urgent int
	}{
		{"with a rate", ", rate: 300/s", size(900, 20_000), size(400, 3000)},
		{"as fast as it goes", "", size(0, 200_000), size(0, 10_000)},
	} {
		if c.mailing > 0 {
			t.Run(c.name, func(t *testing.T) { outageDuringMailing(t, c.rate, c.mailing, c.urgent) })
		}
	}
}

func outageDuringMailing(t *testing.T, rate string, mailing, urgent int) {
	s, came := startLimited(t, time.Second, "relays:\n  - {name: main, url: \"smtp://RELAY\""+rate+"}\n")
	s.mailboxes(mailing, func(i int) string {
		if i < urgent {
			return fmt.Sprintf("m%d@broken.example", i)
		}
		return fmt.Sprintf("m%d@fine.example", i)
	})
	for range size(2, 4) {
		s.work()
	}
	maintenance := s.write(map[string]string{
		"notice.yaml": "key: mailing-1\nkind: maintenance\nphase: scheduled\naudience: all\n",
		"en.md":       "---\nsubject: Work on the power feeds\n---\nDear {{.Customer.Name}},\n\nnothing is to be done.\n",
	})
	began := mailing / 20
	if !*limitsAtLength {
		came.holds = "X-Notice: mailing-1"
		came.gate.shut(began)
	}
	s.must(nil, "notice", "send", maintenance, "--yes")
	came.await(t, "mailing-1", began)
	s.must(nil, "notice", "send", s.notice("outage-1", `audience: 'group = "broken"'`), "--yes")
	released := *s.status("outage-1").ReleasedAt
	came.gate.open()
	s.await("outage-1", "finished", finished)
	during := s.status("mailing-1")

	outage, other := came.of("outage-1"), came.of("mailing-1")
	last := outage[len(outage)-1]
	// Mails of the mailing that were marked when the outage began may still leave.
	meanwhile, marked := between(other, outage[0], last), 64*size(2, 4)
	t.Logf("%d of an outage released during a mailing of %d: the first mail after %.2f s, all in %.1f s, and %d of the mailing meanwhile",
		len(outage), mailing, outage[0].Sub(released).Seconds(), last.Sub(released).Seconds(), meanwhile)
	if meanwhile > marked+len(outage)/10 {
		t.Errorf("%d mails of the mailing came while the outage was being sent", meanwhile)
	}
	if during.State.Finished() {
		t.Error("the mailing was over before the outage: nothing was shown")
	}
	st := s.await("mailing-1", "finished", finished)
	if st.Counts["sent"] != mailing {
		t.Errorf("the mailing ended as %v", st.Counts)
	}
	on := came.of("mailing-1")
	i, _ := slices.BinarySearchFunc(on, last, time.Time.Compare)
	if i == len(on) {
		t.Fatal("the mailing did not go on")
	}
	t.Logf("the mailing went on %.2f s after it and was out after %.0f s", on[i].Sub(last).Seconds(), on[len(on)-1].Sub(on[0]).Seconds())
	if n := came.twice(); n > 0 {
		t.Errorf("%d mailboxes got two mails", n)
	}
}
