package send

import (
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/notice"
)

// TestASilentRelayIsTriedWithOneMailAtATime: a connection that is free is tried with one mail at a time, in ever longer
// intervals.
func TestASilentRelayIsTriedWithOneMailAtATime(t *testing.T) {
	t.Parallel()
	first, release := holding(t, always)
	o, log := watched()
	p := pool(t, o, first.listed("first", 16), serve(t, nil).listed("second", 4))
	stuck := submit(p, manyWait, nil)
	log.await(t, "relay silent", "first")
	tick := time.NewTicker(brief / 5)
	defer tick.Stop()
	for range 30 {
		submit(p, 1, nil)
		later := submit(p, 20, nil)
		for range 19 {
			next(t, later.came)
		}
		p.mu.Lock()
		free := p.relays[0].hands - p.relays[0].stuck
		p.mu.Unlock()
		if free > 1 {
			t.Fatalf("the silent relay has %d mails besides those that it was found not to answer", free)
		}
		<-tick.C
	}
	// In 30/5 times the silence: at once, after the silence and a rest of twice that.
	if n := first.dots.Load(); n < manyWait+2 || n > manyWait+3 {
		t.Errorf("it was tried with %d mails", n-manyWait)
	}
	close(release)
	stuck.takes(t, manyWait, "first")
	log.await(t, "relay up", "first")
}

// TestARelayThatNeverAnswersStaysSilent: a mail that no answer came for stays uncertain, and its relay silent, until a
// mail is answered.
func TestARelayThatNeverAnswersStaysSilent(t *testing.T) {
	t.Parallel()
	first, release := holding(t, func(n int, _ string) bool { return n <= 5 })
	defer close(release)
	o, log := watched()
	o.AnswerTimeout = 2 * brief
	p := pool(t, o, first.listed("first", 4), serve(t, nil).listed("second", 4))
	all := submit(p, 20, nil)
	log.await(t, "relay silent", "first")
	all.takes(t, 16, "second")
	for range 4 {
		if a := next(t, all.came); a.Outcome != notice.OutcomeUncertain || a.Relay != "first" {
			t.Errorf("%+v", a)
		}
	}
	if h := p.Health()[0]; h.State != notice.RelaySilent {
		t.Errorf("%+v", h)
	}
	// The fifth mail finds it silent still, the sixth that it answers.
	for _, want := range []notice.Outcome{notice.OutcomeUncertain, notice.OutcomeSent} {
		a := next(t, submit(p, 1, nil).came)
		for a.Relay == "second" { // which has a connection at hand
			a = next(t, submit(p, 1, nil).came)
		}
		if a.Outcome != want {
			t.Errorf("%+v", a)
		}
	}
	log.await(t, "relay up", "first")
}

// resting reports whether a relay gets no mail at all.
func (p *Pool) resting(r *relayState) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return r.resting
}

func TestASilentRelayIsTriedInEverLongerIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New([]Relay{{Host: "a"}}, Options{})
		r := p.relays[0]
		r.busy = 1
		p.silence(r, 4)
		for _, times := range []time.Duration{2, 4, 8, 10, 10} {
			p.mu.Lock()
			p.hush(r)
			p.mu.Unlock()
			time.Sleep(times*p.o.Silence - 1)
			if !p.resting(r) {
				t.Errorf("it is tried sooner than after %d times the silence", times)
			}
			time.Sleep(2 * time.Nanosecond)
			if p.resting(r) {
				t.Errorf("it is not tried after %d times the silence", times)
			}
		}
	})
}

// TestASilentRelayThatHangsUpIsTriedAtOnce: connections that break may mean that the relay has started anew. No rest is
// waited out.
func TestASilentRelayThatHangsUpIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	first, release := holding(t, always)
	defer close(release)
	o, log := watched()
	p := pool(t, o, first.listed("first", 4))
	all := submit(p, 4, nil)
	log.await(t, "relay silent", "first")
	p.mu.Lock()
	p.relays[0].hushes = 4
	p.hush(p.relays[0])
	p.mu.Unlock()
	first.mu.Lock()
	for c := range first.conns {
		c.Close()
	}
	first.mu.Unlock()
	if a := next(t, all.came); a.Outcome != notice.OutcomeUncertain || p.resting(p.relays[0]) {
		t.Errorf("%+v; it rests", a)
	}
}

// TestARefusedRecipientDoesNotEndSilence: that a relay refuses a recipient says nothing of the mails that it takes.
func TestARefusedRecipientDoesNotEndSilence(t *testing.T) {
	t.Parallel()
	first, release := holding(t, always)
	defer close(release)
	first.refuses = "dead"
	o, log := watched()
	p := pool(t, o, first.listed("first", 8))
	submit(p, 4, nil)
	log.await(t, "relay silent", "first")
	dead := submit(p, 1, func(_ int, j *ringJob) { j.to = "dead@example.org" })
	a := next(t, dead.came)
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.relays[0]; a.Outcome != notice.OutcomeNever || r.up() || !r.silent {
		t.Errorf("%+v; the relay is up: %v", a, r.up())
	}
}
