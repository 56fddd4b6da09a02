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

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// The tests in this file are short by themselves, with wide bounds, and with -limits the benchmark that prints the
// figures of docs/performance.md: make limits.
var limitsAtLength = flag.Bool("limits", false, "TestLimits… at length, with the bounds of the promise")

// size is the short or the long one of two.
func size[T any](short, long T) T {
	if *limitsAtLength {
		return long
	}
	return short
}

// alongside lets a test run beside others, unless it measures.
func alongside(t *testing.T) {
	if !*limitsAtLength {
		t.Parallel()
	}
}

// arrivals is when mails came, by notice and domain.
type arrivals struct {
	mu sync.Mutex
	at map[string][]time.Time
	to map[string]int // mails by notice and mailbox
}

func (a *arrivals) add(m sink.Mail) {
	now := time.Now()
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
	a := &arrivals{at: map[string][]time.Time{}, to: map[string]int{}}
	s := startOn(t, sharedServices(t), sink.Options{Keep: 1, SlowBy: slowBy, OnMail: a.add})
	s.env = slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, "TOCSIN_SMTP_URL=") })
	dir := s.write(map[string]string{"tocsin.yaml": strings.ReplaceAll(settings, "RELAY", s.sink.Addr().String())})
	s.env = append(s.env, "TOCSIN_CONFIG="+filepath.Join(dir, "tocsin.yaml"))
	return s, a
}

// mailboxes imports n customers, whose addresses make says.
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
// and one is killed. How much less than that a busy machine sends is no matter, unless at length.
func TestLimitsAreKept(t *testing.T) {
	alongside(t)
	const rate, ofDomain = 200.0, 30.0
	span, window := size(6*time.Second, 60*time.Second), size(3*time.Second, 10*time.Second)
	below, above := size(100.0, 2.0), size(34.0, 2.0) // a busy machine catches up on a second
	s, came := startLimited(t, time.Second, fmt.Sprintf("relays:\n  - {name: main, url: \"smtp://RELAY\", rate: %.0f/s}\n"+
		"limits:\n  - {domain: limited.example, rate: %.0f/s}\n", rate, ofDomain))
	s.mailboxes(int(2*rate*span.Seconds()), func(i int) string {
		return fmt.Sprintf("m%d@%s", i, [...]string{"limited.example", "free.example", "free.example", "free.example", "free.example"}[i%5])
	})
	for range 2 {
		s.work()
	}
	victim := s.work()
	s.must(nil, "notice", "send", s.notice("limited-1"), "--yes")
	s.await("limited-1", "under way", sent(1))
	total := int(rate * span.Seconds())
	came.await(t, "limited-1", total/3)
	s.work()
	came.await(t, "limited-1", total*2/3)
	victim.kill()
	came.await(t, "limited-1", total)
	first, to := came.of("limited-1")[0], came.of("limited-1")[total-1]
	from := first.Add(time.Second)
	s.must(nil, "notice", "cancel", "limited-1")
	for _, limit := range []struct {
		what, of string
		rate     float64
	}{{"relay", "limited-1", rate}, {"domain", "limited.example", ofDomain}} {
		low, high := worst(came.of(limit.of), limit.rate, from, to, window)
		t.Logf("%s at %.0f/s, four workers, one of which joined and one was killed: %+.1f %% to %+.1f %% over windows of %v in %.0f s",
			limit.what, limit.rate, low, high, window, to.Sub(from).Seconds())
		if *limitsAtLength {
			var each []int
			for w := first; w.Before(to); w = w.Add(time.Second) {
				each = append(each, between(came.of(limit.of), w, w.Add(time.Second)))
			}
			t.Logf("%s, mails in each second: %v", limit.what, each)
		}
		if high > above || low < -below || math.IsInf(high, 0) { // all was out within a window
			t.Errorf("%s: beyond -%.0f %% to +%.0f %%", limit.what, below, above)
		}
	}
	if n := came.twice(); n > 0 {
		t.Errorf("%d mailboxes got two mails", n)
	}
}

// TestLimitsOfOneDomainHoldUpNoOther sends to a domain that answers late, and one that has a limit, beside a fast one.
func TestLimitsOfOneDomainHoldUpNoOther(t *testing.T) {
	alongside(t)
	fast, slow, limited := size(500, 20_000), size(400, 1000), size(300, 600)
	slowBy := size(500*time.Millisecond, time.Second)
	s, came := startLimited(t, slowBy, "relays:\n  - {name: main, url: \"smtp://RELAY\"}\nlimits:\n  - {domain: limited.example, rate: 10/s}\n")
	s.mailboxes(fast+slow+limited, func(i int) string {
		switch i := i * 7919 % (fast + slow + limited); { // mixed
		case i < slow:
			return fmt.Sprintf("slow%d@slow.example", i)
		case i < slow+limited:
			return fmt.Sprintf("m%d@limited.example", i)
		}
		return fmt.Sprintf("m%d@fast.example", i)
	})
	for range 2 {
		s.work()
	}
	took := func(at []time.Time) time.Duration { return at[len(at)-1].Sub(at[0]) }
	s.must(nil, "notice", "send", s.notice("alone-1", `audience: 'group = "fast"'`), "--yes")
	s.await("alone-1", "finished", finished)
	alone := took(came.of("alone-1"))
	s.must(nil, "notice", "send", s.notice("beside-1"), "--yes")
	came.await(t, "fast.example", 2*fast)
	at := came.of("fast.example")[fast:]
	if !*limitsAtLength {
		s.must(nil, "notice", "cancel", "beside-1") // the others take half a minute
	}
	s.await("beside-1", "finished", finished)
	left := func(domain string, of int) int { return of - between(came.of(domain), time.Time{}, at[len(at)-1]) }
	slowLeft, limitedLeft := left("slow.example", slow), left("limited.example", limited)
	atLimited := came.of("limited.example")
	slowTook, limitedTook := took(came.of("slow.example")), took(atLimited)
	t.Logf("%d fast mails: alone in %.1f s; in %.1f s beside %d that are answered after %v (%.1f s, %d still to come when the fast ones were out)"+
		" and %d limited to 10/s (%.1f s, %d still to come)", fast, alone.Seconds(), took(at).Seconds(), slow, slowBy, slowTook.Seconds(), slowLeft,
		limited, limitedTook.Seconds(), limitedLeft)
	if slowLeft == 0 || limitedLeft == 0 {
		t.Error("the fast ones waited for others")
	}
	n := float64(len(atLimited))
	if least := 0.8 * (n - 1) / 10; limitedTook.Seconds() < least-0.2 || *limitsAtLength && limitedTook.Seconds() > 2.5*least+10 {
		t.Errorf("%.0f mails at 10/s took %.1f s", n, limitedTook.Seconds())
	}
	if n := came.twice(); n > 0 {
		t.Errorf("%d mailboxes got two mails", n)
	}
}

// TestLimitsGoToTheUrgent releases an outage while a maintenance notice is being mailed.
func TestLimitsGoToTheUrgent(t *testing.T) {
	alongside(t)
	for _, c := range []struct {
		name, rate      string
		mailing, urgent int
	}{
		{"with a rate", ", rate: 300/s", size(1800, 20_000), size(700, 3000)},
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
	s.must(nil, "notice", "send", maintenance, "--yes")
	s.await("mailing-1", "under way", sent(mailing/20))
	s.must(nil, "notice", "send", s.notice("outage-1", `audience: 'group = "broken"'`), "--yes")
	released := *s.status("outage-1").ReleasedAt
	s.await("outage-1", "finished", finished)
	during := s.status("mailing-1")

	outage, other := came.of("outage-1"), came.of("mailing-1")
	last := outage[len(outage)-1]
	from := released.Add(2 * time.Second)
	if last.Sub(from) < 500*time.Millisecond {
		t.Logf("the outage was out %v after its release", last.Sub(released))
		from = released.Add(time.Second)
	}
	mails, others := between(outage, from, last), between(other, from, last)
	share := 100 * float64(mails) / float64(max(1, mails+others))
	t.Logf("%d of an outage released during a mailing of %d: the first mail after %.2f s, all in %.1f s; from %.0f s after the release %.1f %% of the sending",
		len(outage), mailing, outage[0].Sub(released).Seconds(), last.Sub(released).Seconds(), from.Sub(released).Seconds(), share)
	if share < 90 {
		t.Errorf("the outage had %.1f %% of the sending", share)
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
