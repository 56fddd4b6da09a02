package pace

import (
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// A far side that takes so many mails a second, and throttles what comes beyond.
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

func TestThrottlingSlowsOnePairDown(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	p, _ := start(t, url, "1", Options{})
	for p.known() == 0 {
		time.Sleep(time.Millisecond)
	}
	w, err := NewWatcher(url)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	far := &farSide{rate: 100, at: time.Now()}
	asked := 0
	var doc *notice.Pace
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
}

func TestASingleMailboxOutOfOrderIsNoThrottling(t *testing.T) {
	t.Parallel()
	p, _ := start(t, testkit.Redis(t), "1", Options{})
	k := pair{"main", "example.com"}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 40 {
		p.heard(k, notice.Answer{Outcome: notice.OutcomeSent, Relay: "main", Code: 250}, now)
	}
	p.heard(k, notice.Answer{Outcome: notice.OutcomeLater, Relay: "main", Code: 450, Enhanced: "4.2.1"}, now)
	p.judge(k, p.pairs[k], now.Add(time.Second))
	if len(p.reports) != 0 {
		t.Errorf("one of 41: %+v", p.reports)
	}
}

func TestThrottlingHalvesAConfiguredRate(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
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
}

// known is how many workers were seen last.
func (p *Pacer) known() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workers
}
