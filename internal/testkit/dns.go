package testkit

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Zone holds the answers of a name server of DNS, by name without the dot at its end. Other names do not exist.
type Zone map[string]Records

// Records are those of one name.
type Records struct {
	MX     []string // host names; "." is the null MX
	A      []string
	AAAA   []string
	TXT    []string
	NS     []string
	Broken bool // the name server answers SERVFAIL
}

// DNS returns a resolver that asks a name server of this test for everything.
func DNS(t testing.TB, zone Zone) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		packet := make([]byte, 4096)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			if reply, err := zone.answer(m); err == nil {
				server.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func (z Zone) answer(m dnsmessage.Message) ([]byte, error) {
	q := m.Questions[0]
	records, known := z[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}
	switch {
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case records.Broken:
		m.RCode = dnsmessage.RCodeServerFailure
	}
	m.Additionals, m.Answers = nil, nil
	add := func(body dnsmessage.ResourceBody) {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: body})
	}
	switch q.Type {
	case dnsmessage.TypeMX:
		for _, host := range records.MX {
			name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
			if err != nil {
				return nil, err
			}
			add(&dnsmessage.MXResource{Pref: 10, MX: name})
		}
	case dnsmessage.TypeNS:
		for _, host := range records.NS {
			name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
			if err != nil {
				return nil, err
			}
			add(&dnsmessage.NSResource{NS: name})
		}
	case dnsmessage.TypeA:
		for _, ip := range records.A {
			add(&dnsmessage.AResource{A: [4]byte(net.ParseIP(ip).To4())})
		}
	case dnsmessage.TypeAAAA:
		for _, ip := range records.AAAA {
			add(&dnsmessage.AAAAResource{AAAA: [16]byte(net.ParseIP(ip).To16())})
		}
	case dnsmessage.TypeTXT:
		for _, text := range records.TXT {
			var pieces []string
			for piece := range slices.Chunk([]byte(text), 255) { // the longest that the DNS has
				pieces = append(pieces, string(piece))
			}
			add(&dnsmessage.TXTResource{TXT: pieces})
		}
	}
	return m.Pack()
}
