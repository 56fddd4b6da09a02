package send

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/internal/testkit"
)

const twoAddresses = "relay.tocsin.org" // 127.0.0.1 and 127.0.0.2

// twins are two servers on one port of two addresses, as shape makes them, and a relay with a name that has both.
func twins(t *testing.T, o *Options, shape func(a, b *server)) (a, b *server, r Relay) {
	t.Helper()
	for try := 0; ; try++ {
		b = newServerAt(t, "127.0.0.2:0", map[string]act{})
		_, port, _ := net.SplitHostPort(b.listener.Addr().String())
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			a = newServer(t, map[string]act{})
			a.listener.Close()
			a.listener = l
			break
		}
		b.listener.Close()
		if try == 20 {
			t.Fatal(err)
		}
	}
	shape(a, b)
	a.start()
	b.start()
	o.dns = testkit.DNS(t, testkit.Zone{twoAddresses: {A: []string{"127.0.0.1", "127.0.0.2"}}})
	r = b.relay()
	r.Host = twoAddresses
	return a, b, r
}

func TestEachAddressOfARelayIsTried(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]act{
		"421":      {say: "421 4.3.2 not here", hangUp: true},
		"554":      {say: "554 5.7.1 not here"},
		"hangs up": {hangUp: true},
		"silent":   {silent: true},
		"no SMTP":  {say: "SSH-2.0-OpenSSH_9.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := usual
			o.AcquireTimeout = 4 * time.Second // half of it for each address
			a, b, r := twins(t, &o, func(a, _ *server) { a.script[atGreeting] = script })
			p := pool(t, o, r)
			mustSend(t, p)
			if p.Health()[0].State != "up" || b.accepted.Load() != 1 {
				t.Errorf("%+v, %d taken", p.Health(), b.accepted.Load())
			}
			// The address that failed goes behind the other for a time.
			before := a.connections.Load()
			c, err := p.dial(t.Context(), p.relays[0])
			if err != nil || a.connections.Load() != before {
				t.Fatalf("%v, %d connections more to the bad address", err, a.connections.Load()-before)
			}
			c.quit()
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		o := usual
		a, _, r := twins(t, &o, func(_, _ *server) {})
		a.stop()
		mustSend(t, pool(t, o, r))
	})
}

func TestTheFirstWordOfARelayIsToldWhereAllAddressesFail(t *testing.T) {
	t.Parallel()
	o := usual
	o.AcquireTimeout = time.Second
	_, _, r := twins(t, &o, func(a, b *server) {
		a.script[atGreeting] = act{hangUp: true}
		b.script[atGreeting] = act{say: "554 5.7.1 not from you"}
	})
	p := pool(t, o, r)
	if _, err := p.dial(t.Context(), p.relays[0]); err == nil || !strings.Contains(err.Error(), "greeting: 554 5.7.1 not from you") {
		t.Errorf("error is %v", err)
	}
}

// TestAWrongPasswordIsTriedAtOneAddress: a wrong password is wrong everywhere. To try it at each address blocks the
// account sooner.
func TestAWrongPasswordIsTriedAtOneAddress(t *testing.T) {
	t.Parallel()
	o := usual
	a, b, r := twins(t, &o, func(a, b *server) { a.ehlo, b.ehlo = []string{"AUTH PLAIN"}, []string{"AUTH PLAIN"} })
	r.User, r.Password = "ada", "hunter2"
	p := pool(t, o, r)
	_, err := p.dial(t.Context(), p.relays[0])
	if _, refused := errors.AsType[*authFailure](err); !refused || a.connections.Load()+b.connections.Load() != 1 {
		t.Errorf("%v; %d and %d connections", err, a.connections.Load(), b.connections.Load())
	}
}

func TestTheFamilyOfARelaysAddressesCanBeChosen(t *testing.T) {
	t.Parallel()
	o := usual
	o.dns = testkit.DNS(t, testkit.Zone{twoAddresses: {A: []string{"127.0.0.1"}, AAAA: []string{"::1"}}})
	for family, want := range map[string][]string{"ip4": {"127.0.0.1"}, "ip6": {"::1"}, "": {"127.0.0.1", "::1"}} {
		p := pool(t, o, Relay{Host: twoAddresses, Family: family})
		got, err := p.addresses(t.Context(), p.relays[0])
		var texts []string
		for _, a := range got {
			texts = append(texts, a.String())
		}
		if slices.Sort(texts); err != nil || !slices.Equal(texts, want) {
			t.Errorf("family %q: %v, %v", family, texts, err)
		}
	}
}

// TestAProbeWaitsForALateGreeting: a relay that greets later than any mail waits is found by the probe.
func TestAProbeWaitsForALateGreeting(t *testing.T) {
	t.Parallel()
	o := usual
	o.ConnectTimeout = 100 * time.Millisecond
	s := serve(t, map[string]act{atGreeting: {say: "220 at last", late: 500 * time.Millisecond}})
	mustSend(t, pool(t, o, s.relay()))
	quiet := pool(t, o, serve(t, map[string]act{atGreeting: {silent: true}}).relay())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := quiet.Send(ctx, mail, &permit{})
	if h := quiet.Health()[0]; err == nil || h.Error != "greeting: the relay did not answer in time" {
		t.Errorf("%+v, %v", h, err)
	}
	if s.connections.Load() < 2 {
		t.Error("the first connection was greeted: nothing was shown")
	}
}

func TestCheckNamesTheAddressesThatFail(t *testing.T) {
	t.Parallel()
	var o Options
	a, _, r := twins(t, &o, func(a, _ *server) { a.script[atGreeting] = act{say: "554 5.7.1 not here"} })
	f := check(t.Context(), r, o)
	testkit.Findings(t, f, "ok reached "+twoAddresses+":"+strconv.Itoa(r.Port), "warning its address 127.0.0.1 is passed over: it refuses this machine: 554",
		"warning without TLS", "ok SIZE", "warning PIPELINING", "warning SMTPUTF8")
	a.stop()
	f = check(t.Context(), r, o)
	if !strings.Contains(f[1].Message, "its address 127.0.0.1 is passed over: nothing listens") {
		t.Errorf("%+v", f)
	}
}
