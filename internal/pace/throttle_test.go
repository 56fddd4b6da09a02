package pace

import (
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// farSide takes so many mails a second, and throttles the mails beyond that.
type farSide struct {
	rate   float64
	free   float64
	at     time.Time
	passed int
}

func (f *farSide) answer() notice.Answer {
	now := time.Now()
	f.free = min(f.rate/10, f.free+now.Sub(f.at).Seconds()*f.rate)
	f.at = now
	if f.free < 1 {
		return notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Relay: "main", Code: 450, Enhanced: "4.7.1"}
	}
	f.free--
	f.passed++
	return notice.Answer{Outcome: notice.OutcomeSent, Relay: "main", Code: 250}
}

// paceWatched starts a pacer in a bubble, and a watcher of it by the bubble's clock; they end with the test.
func paceWatched(t *testing.T, url string) (*Pacer, *Watcher) {
	t.Helper()
	p, _ := start(t, url, "1", Options{})
	for p.known() == 0 {
		time.Sleep(time.Millisecond)
	}
	w, err := NewWatcher(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	w.redis.AddHook(bubbleClock{})
	return p, w
}

func TestThrottlingSlowsOnePairDown(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		p, w := paceWatched(t, url)
		far := &farSide{rate: 100, at: time.Now()}
		asked := 0
		var doc *notice.Pace
		var err error
		// A thousand a second are tried, until that is known for too many.
		for deadline := time.Now().Add(20 * time.Second); ; {
			if time.Now().After(deadline) {
				t.Fatalf("never throttled: %+v", doc)
			}
			if l, r := p.Ask("picky.example"); l != nil {
				asked++
				p.Done(l, far.answer())
				time.Sleep(time.Millisecond)
			} else {
				time.Sleep(min(r.Wait, 20*time.Millisecond))
			}
			if asked%50 == 0 {
				if doc, err = w.Pace(t.Context()); err == nil && len(doc.Throttled) > 0 {
					break
				}
			}
		}
		held := doc.Throttled[0]
		if held.Relay != "main" || held.Domain != "picky.example" || held.RatePerS < 20 || held.RatePerS > 300 {
			t.Errorf("throttled at 100 a second: %+v", held)
		}
		if l, _ := p.Ask("other.example"); l == nil {
			t.Error("another domain is held up too")
		}
		// It grows again.
		time.Sleep(time.Second)
		doc, err = w.Pace(t.Context())
		if err != nil || len(doc.Throttled) != 1 || doc.Throttled[0].RatePerS <= held.RatePerS {
			t.Errorf("a second later: %+v, %v; before %+v", doc, err, held)
		}
	})
}

// The reports to Redis when so many mails are refused.
func TestWhatIsThrottling(t *testing.T) {
	t.Parallel()
	full, busy := notice.Answer{Code: 450, Enhanced: "4.2.1"}, notice.Answer{Code: 450, Enhanced: "4.7.1"}
	restarts, closing := notice.Answer{Code: 421, Enhanced: "4.3.2"}, notice.Answer{Code: 421}
	for _, c := range []struct {
		name    string
		refusal notice.Answer
		mails   int
		every   int           // so many is refused
		each    time.Duration // mail
		atLeast float64       // the rate that is reported; 0 = none may be
	}{
		{"one alone", busy, 1, 1, time.Second, 0},
		{"one in fifty for two minutes", busy, 1200, 50, time.Second / 10, 0},
		{"a mailbox that is tried again and again", full, 100, 1, time.Second, 0},
		{"a relay that restarts", restarts, 100, 1, time.Millisecond, 0},
		{"each of a hundred", closing, 100, 1, 20 * time.Millisecond, 4},
		{"each, one a second", busy, 10, 1, time.Second, 0.1},
		{"every other one", busy, 100, 2, time.Second / 10, 4},
	} {
		p, err := New("redis://127.0.0.1:1", Options{}) // not run
		if err != nil {
			t.Fatal(err)
		}
		k, now := pair{"main", "example.com"}, time.Now()
		for i := range c.mails {
			a := notice.Answer{Outcome: notice.OutcomeSent, Code: 250}
			if (i+1)%c.every == 0 {
				a = c.refusal
				a.Outcome = notice.OutcomeLater
			}
			p.heard(k, a, now)
			now = now.Add(c.each)
			p.tidy(now)
		}
		p.tidy(now.Add(time.Second))
		switch r := p.reports; {
		case c.atLeast == 0 && len(r) > 0:
			t.Errorf("%s: %+v", c.name, r)
		case c.atLeast > 0 && (len(r) == 0 || r[0].rate < c.atLeast || r[0].upTo < 2*r[0].rate):
			t.Errorf("%s: %+v, want one of %g/s at least", c.name, r, c.atLeast)
		}
	}
}

func TestThrottlingHalvesAConfiguredRate(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		p, _ := start(t, url, "1", Options{Limits: []Limit{{Domain: "example.com", Rate: 40}}})
		k := pair{"main", "example.com"}
		now := time.Now()
		p.mu.Lock()
		for range 30 {
			p.heard(k, notice.Answer{Outcome: notice.OutcomeSent, Relay: "main", Code: 250}, now)
		}
		for range 10 {
			p.heard(k, notice.Answer{Outcome: notice.OutcomeLater, Relay: "main", Code: 421}, now)
		}
		p.judge(k, p.pairs[k], now.Add(time.Second))
		p.mu.Unlock()
		w, err := NewWatcher(url)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.redis.AddHook(bubbleClock{})
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			doc, err := w.Pace(t.Context())
			if err == nil && len(doc.Throttled) == 1 {
				if r := doc.Throttled[0]; r.UpTo != 40 || r.RatePerS < 20 || r.RatePerS > 25 {
					t.Errorf("%+v", r)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%+v, %v", doc, err)
			}
		}
	})
}

// known is how many workers were seen last.
func (p *Pacer) known() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workers
}
