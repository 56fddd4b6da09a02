package send

import (
	"runtime"
	"sync/atomic"
	"testing"

	"tocsin/internal/notice"
)

// TestRelaysOfSettingsThatAreReadAgain: a relay that stays keeps its connection, and one that is changed gets a new
// one. One that is not there any more gets nothing.
func TestRelaysOfSettingsThatAreReadAgain(t *testing.T) {
	t.Parallel()
	first, second, a, b := twoRelays(t, nil)
	p := pool(t, usual, a, b)
	mustSend(t, p)
	p.SetRelays([]Relay{a, b})
	mustSend(t, p)
	if n := first.connections.Load(); n != 1 {
		t.Errorf("%d connections to a relay that stayed as it is", n)
	}
	changed := a
	changed.Hello = "other.example"
	p.SetRelays([]Relay{changed, b})
	if mustSend(t, p); first.connections.Load() != 2 || first.greeted.Load() != "other.example" {
		t.Errorf("%d connections to a relay that was changed, greeted as %v", first.connections.Load(), first.greeted.Load())
	}
	p.SetRelays([]Relay{b})
	if answer := mustSend(t, p); answer.Relay != "two" || second.connections.Load() != 1 {
		t.Errorf("without the first: %+v", answer)
	}
	if h := p.Health(); len(h) != 1 || p.Next() != "two" {
		t.Errorf("health %+v, next %s", h, p.Next())
	}
	// The other order, and a rest that was there before the relay.
	p.Rest([]notice.Rest{{Relay: "one"}})
	p.SetRelays([]Relay{a, b})
	if answer := mustSend(t, p); answer.Relay != "two" {
		t.Errorf("a relay that is at rest came with the settings: %+v", answer)
	}
	p.Rest(nil)
	if answer := mustSend(t, p); answer.Relay != "one" {
		t.Errorf("after its rest: %+v", answer)
	}
}

// TestTheDotOfARelayThatIsChangedIsAnswered: the answer to a dot that was written to a relay of the old settings
// counts, and its connection counts for the limit of the new one.
func TestTheDotOfARelayThatIsChangedIsAnswered(t *testing.T) {
	t.Parallel()
	answers := make(chan struct{})
	s := serve(t, map[string]act{atDot: {say: "250 ok", after: answers, once: true}})
	r := s.relay()
	r.Connections = 1
	p := pool(t, usual, r)
	sent := submit(p, 2, nil)
	for s.dots.Load() == 0 {
		runtime.Gosched()
	}
	r.Hello = "other.example"
	p.SetRelays([]Relay{r})
	p.mu.Lock()
	may := p.mayOpen(p.relays[0])
	p.mu.Unlock()
	if may {
		t.Error("the connection of the old settings does not count")
	}
	close(answers)
	sent.left.Wait()
	for to, answer := range sent.answers {
		if answer.Outcome != notice.OutcomeSent {
			t.Errorf("%s: %+v", to, answer)
		}
	}
	if s.connections.Load() != 2 || s.greeted.Load() != "other.example" {
		t.Errorf("%d connections, the last greeted as %v", s.connections.Load(), s.greeted.Load())
	}
}

// TestALoginThatIsRefusedIsTold: a login that is refused is told; the right password, once it is set, is tried at once.
func TestALoginThatIsRefusedIsTold(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.ehlo = append(s.ehlo, "AUTH PLAIN")
	s.start()
	r := s.relay()
	r.User, r.Password = "ada", "wrong"
	var told atomic.Int32
	var p *Pool
	o := usual
	o.LoginFailed = func() {
		if told.Add(1) == 1 {
			r.Password = "secret"
			go p.SetRelays([]Relay{r})
		}
	}
	p = pool(t, o, r)
	mustSend(t, p)
	if n := told.Load(); n != 1 {
		t.Errorf("told of %d refused logins, want 1", n)
	}
}
