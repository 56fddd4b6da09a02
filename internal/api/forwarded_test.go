package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestARequestComesFromWhereATrustedProxySaysSo(t *testing.T) {
	t.Parallel()
	s := &Server{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}}
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                         {"192.0.2.1:4000", nil, "192.0.2.1:4000"},
		"a stranger who says so":           {"192.0.2.1:4000", []string{"198.51.100.7"}, "192.0.2.1:4000"},
		"a proxy":                          {"10.0.0.1:4000", []string{"198.51.100.7"}, "198.51.100.7:0"},
		"a proxy that says nothing":        {"10.0.0.1:4000", nil, "10.0.0.1:4000"},
		"two proxies":                      {"10.0.0.1:4000", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7:0"},
		"an address that a client made up": {"10.0.0.1:4000", []string{"203.0.113.9, 198.51.100.7, 10.0.0.2"}, "198.51.100.7:0"},
		"several headers":                  {"10.0.0.1:4000", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7:0"},
		"proxies alone":                    {"10.0.0.1:4000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3:0"},
		"no address":                       {"10.0.0.1:4000", []string{"198.51.100.7, unknown"}, "10.0.0.1:4000"},
		"no address behind a proxy":        {"10.0.0.1:4000", []string{"unknown, 10.0.0.2"}, "10.0.0.2:0"},
		"with a port":                      {"10.0.0.1:4000", []string{"198.51.100.7:5555"}, "198.51.100.7:0"},
		"of IPv6":                          {"[2001:db8:1::1]:4000", []string{"[2001:db8:2::7]:5555"}, "[2001:db8:2::7]:0"},
		"of IPv4 in IPv6":                  {"[::ffff:10.0.0.1]:4000", []string{"::ffff:198.51.100.7"}, "198.51.100.7:0"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.peer
		r.Header["X-Forwarded-For"] = test.forwarded
		if got := s.forwarded(r); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
