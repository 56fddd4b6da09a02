package send

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// twoRelays are servers, and relays named one and two.
func twoRelays(t *testing.T, script map[string]act) (first, second *server, a, b Relay) {
	t.Helper()
	first, second = serve(t, script), serve(t, nil)
	a, b = first.relay(), second.relay()
	a.Name, b.Name = "one", "two"
	return first, second, a, b
}

func TestARelayAtRestGetsNoMailAndNoConnection(t *testing.T) {
	t.Parallel()
	left := make(chan struct{}, 1)
	first, _, a, b := twoRelays(t, map[string]act{atQUIT: {say: "221 bye", hangUp: true, then: func() { left <- struct{}{} }}})
	p := pool(t, usual, a, b)
	mustSend(t, p)
	rest := notice.Rest{Relay: "one", By: "ada", Since: time.Now()}
	p.Rest([]notice.Rest{rest, {Relay: "of no file"}})
	<-left // the idle connection takes its leave
	for range 3 {
		if answer := mustSend(t, p); answer.Relay != "two" {
			t.Errorf("a relay at rest took a mail: %+v", answer)
		}
	}
	if h := p.Health(); h[0].State != "at rest" || h[0].Rest.By != "ada" || h[1].State != notice.RelayUp || p.Next() != "two" {
		t.Errorf("health %+v, next %s", h, p.Next())
	}
	if n := first.connections.Load(); n != 1 {
		t.Errorf("%d connections to a relay at rest", n-1)
	}
	p.Rest(nil)
	if answer := mustSend(t, p); answer.Relay != "one" || p.Health()[0].State != notice.RelayUp {
		t.Errorf("after its rest: %+v, %+v", answer, p.Health())
	}
}

// TestARestWaitsForTheDotAndNoMailFollowsIt: the answer to a dot that was written counts; the mail with its envelope
// behind that dot goes to the next relay.
func TestARestWaitsForTheDotAndNoMailFollowsIt(t *testing.T) {
	t.Parallel()
	answers := make(chan struct{})
	s := newServer(t, map[string]act{atDot: {say: "250 ok", after: answers}})
	s.ehlo = append(s.ehlo, "PIPELINING")
	s.start()
	a, b := s.relay(), serve(t, nil).relay()
	a.Name, b.Name, a.Connections = "one", "two", 1
	p := pool(t, usual, a, b)
	r := submit(p, 4, nil)
	for s.dots.Load() == 0 {
		runtime.Gosched()
	}
	p.Rest([]notice.Rest{{Relay: "one"}})
	close(answers)
	r.left.Wait()
	by := map[string]int{}
	for to, answer := range r.answers {
		if answer.Outcome != notice.OutcomeSent {
			t.Errorf("%s: %+v", to, answer)
		}
		by[answer.Relay]++
	}
	if by["one"] != 1 || by["two"] != 3 || s.dots.Load() != 1 {
		t.Errorf("sent by %v; the relay at rest read %d dots", by, s.dots.Load())
	}
}

// TestWithAllRelaysAtRestMailsEndAtOnce: with all relays at rest mails wait for nothing.
func TestWithAllRelaysAtRestMailsEndAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]act{atGreeting: {silent: true}})
	r := s.relay()
	p := pool(t, usual, r)
	waiting := submit(p, 3, nil)
	p.Rest([]notice.Rest{{Relay: "test"}})
	waiting.left.Wait()
	if waiting.errs != 3 || p.Next() != "" {
		t.Errorf("%d of 3 ended for lack of a relay; next %q", waiting.errs, p.Next())
	}
	_, err := p.Send(t.Context(), mail, &permit{})
	if !errors.Is(err, ErrNoRelay) || !strings.Contains(err.Error(), "lets test rest") {
		t.Errorf("with the only relay at rest: %v", err)
	}
}

// TestARelayThatIsDownIsProbedAfterItsRest: a relay that was down when its rest began is probed when it ends, and not
// before.
func TestARelayThatIsDownIsProbedAfterItsRest(t *testing.T) {
	t.Parallel()
	first, _, a, b := twoRelays(t, map[string]act{atGreeting: {say: "554 go away", hangUp: true, once: true}})
	p := pool(t, usual, a, b)
	mustSend(t, p)
	p.Rest([]notice.Rest{{Relay: "one"}})
	before := first.connections.Load()
	mustSend(t, p)
	p.mu.Lock()
	probe := p.relays[0].probe
	p.mu.Unlock()
	probe.Reset(0)
	mustSend(t, p)
	p.Rest(nil)
	for mustSend(t, p).Relay != "one" {
		if t.Context().Err() != nil {
			t.Fatal("the relay never came back")
		}
	}
	if n := first.connections.Load() - before; n != 1 {
		t.Errorf("%d connections, want that of the probe after the rest", n)
	}
}
