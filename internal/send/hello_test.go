package send

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tocsin/internal/testkit"
)

func TestRelaysAreGreetedByTheHostsFullNameElseTheSendersDomain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ host, canonical, want string }{
		{"mta.example.com", "", "mta.example.com"},
		{"MTA.Example.com", "", "MTA.Example.com"},
		{"web1", "web1.example.com.", "web1.example.com"},
		{"web1", "", "example.net"},
		{"web1", "web1.", "example.net"},
		{"", "", "example.net"},
		{"localhost", "localhost.localdomain", "example.net"},
		{"3f2a1b4c5d6e", "3f2a1b4c5d6e.example.com.", "example.net"}, // a container's id
		{"3f2a1b4c5d6e.example.com", "", "example.net"},
		{strings.Repeat("0f", 32), "", "example.net"},
		{"tocsin-0.tocsin.prod.svc.cluster.local", "", "example.net"},
		{"ip-10-0-0-7.eu-west-1.compute.internal", "", "example.net"},
		{"10.0.0.7", "", "example.net"},
		{"web_1.example.com", "", "example.net"},
	} {
		canonical := func(_ context.Context, host string) (string, error) {
			if c.canonical == "" || host != c.host {
				return "", errors.New("no such host")
			}
			return c.canonical, nil
		}
		if got := helloName(t.Context(), c.host, "example.net", canonical); got != c.want {
			t.Errorf("on %q: %q, want %q", c.host, got, c.want)
		}
	}
}

// TestEachRelayIsGreetedByItsName: a relay that wants a full name, as Postfix does with reject_non_fqdn_helo_hostname,
// takes the mails.
func TestEachRelayIsGreetedByItsName(t *testing.T) {
	t.Parallel()
	for own, want := range map[string]string{"": "client.example", "mta.example.net": "mta.example.net"} {
		s := serve(t, nil)
		r := s.relay()
		r.Hello = own
		mustSend(t, pool(t, usual, r))
		if got := s.greeted.Load(); got != want {
			t.Errorf("hello: %q gives %q, want %q", own, got, want)
		}
	}
	s := serve(t, nil)
	o := usual
	o.Hello = ""
	mustSend(t, pool(t, o, s.relay()))
	if got := s.greeted.Load(); got != "[127.0.0.1]" {
		t.Errorf("without any name: %q", got)
	}
}

func TestTheNameInEHLOIsLookedUp(t *testing.T) {
	t.Parallel()
	dns := testkit.DNS(t, testkit.Zone{
		"mta.tocsin.org":    {A: []string{"192.0.2.7"}},
		"mail.tocsin.org":   {MX: []string{"mx.tocsin.org"}},
		"broken.tocsin.org": {Broken: true},
	})
	for name, want := range map[string]string{
		"mta.tocsin.org":          "ok greeted as mta.tocsin.org",
		"mail.tocsin.org":         "ok greeted as mail.tocsin.org",
		"mta.example.net":         "ok a name for examples",
		"absent.tocsin.org":       "warning which the DNS does not know",
		"broken.tocsin.org":       "warning the DNS does not answer",
		"web1":                    "warning no full name",
		"3f2a1b4c5d6e.tocsin.org": "warning no full name",
		"[192.0.2.7]":             "warning the address [192.0.2.7]",
		"":                        "warning an IP address",
	} {
		testkit.Findings(t, CheckHello(t.Context(), name, dns), want)
	}
}
