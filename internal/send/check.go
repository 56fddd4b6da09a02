package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// Below these a relay gets a warning.
const (
	leastValidity = 14 * 24 * time.Hour // of its certificate
	leastSize     = 1 << 20             // of the largest mail that it takes: our mails are far below, logos are not
)

// Check tries a relay up to the point where a mail would begin, at each of its addresses, and never sends one.
func Check(ctx context.Context, r Relay) notice.Findings { return check(ctx, r, Options{}) }

func check(ctx context.Context, r Relay, o Options) (f notice.Findings) {
	p := New([]Relay{r}, o)
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, p.o.ConnectTimeout)
	defer cancel()
	began := time.Now()
	addresses, err := p.addresses(ctx, p.relays[0])
	if err != nil {
		refusedBy(&f, r, err)
		return f
	}
	c, failed := p.tryEach(ctx, addresses)
	if c == nil {
		refusedBy(&f, r, telling(failed))
		if _, silent := errors.AsType[*silence](telling(failed)); silent && r.TLS != TLSImplicit && speaksTLS(outer, r.address()) {
			f = nil
			f.Error("write smtps:// in its url, or name the port for STARTTLS (587 or 25)", "%s speaks TLS from the first byte, which smtp:// does not", r.address())
		}
		return f
	}
	defer c.quit()
	f.OK("reached %s and was greeted in %s", r.address(), time.Since(began).Round(time.Millisecond))
	for _, a := range failed {
		var faults notice.Findings
		refusedBy(&faults, r, a.err)
		f.Warning(faults[0].Advice, "its address %s is passed over: %s", a.address, faults[0].Message)
	}
	checkTLS(&f, c)
	if r.User != "" {
		f.OK("it takes the user and password")
	}
	c.raw.SetDeadline(time.Now().Add(p.o.ConnectTimeout))
	// Asked again: its offer may change with AUTH.
	if err = c.ehlo(p.hello(p.relays[0], c.raw)); err != nil {
		f.Error("ask who runs the relay; its log says more", "it does not answer EHLO any more: %s", withoutAddresses(explain(err)))
	} else {
		checkExtensions(&f, c)
	}
	return f
}

// tryEach tries all addresses of the one relay at once. It returns a connection, if there is one, and the attempts that
// failed.
func (p *Pool) tryEach(ctx context.Context, addresses []netip.Addr) (c *conn, failed []attempt) {
	attempts := make([]attempt, len(addresses))
	var trying sync.WaitGroup
	for i, a := range addresses {
		trying.Go(func() {
			c, err := p.dialAddress(ctx, p.relays[0], a)
			attempts[i] = attempt{a, c, err}
		})
	}
	trying.Wait()
	for _, a := range attempts {
		switch {
		case a.err != nil:
			failed = append(failed, a)
		case c == nil:
			c = a.c
		default:
			a.c.quit()
		}
	}
	return c, failed
}

func checkTLS(f *notice.Findings, c *conn) {
	r, state := c.relay.Relay, c.state()
	if state == nil {
		switch {
		case loopback(r.Host):
			f.OK("no TLS, on this machine alone")
		case c.declined != nil:
			f.Warning("see its log: its key or certificate may not be readable", "mails go to it without TLS, which it offers and refuses: %s", withoutAddresses(c.declined.Error()))
		default:
			f.Warning("have it offer STARTTLS, and take tls=opportunistic out of its url", "mails go to it without TLS")
		}
		return
	}
	leaf := state.PeerCertificates[0]
	if c.unverified != nil {
		f.Warning("renew it, and take tls=opportunistic out of its url", "%s, which tls=opportunistic overlooks: %s", tls.VersionName(state.Version), certificateFault(leaf, c.unverified))
		return
	}
	left := time.Until(leaf.NotAfter)
	if left < leastValidity {
		f.Warning("renew it before that", "its certificate ends on %s, in %d days", day(leaf.NotAfter), int(left.Hours()/24))
		return
	}
	f.OK("%s, with a certificate that verifies and lasts until %s", tls.VersionName(state.Version), day(leaf.NotAfter))
}

func verify(r Relay, state *tls.ConnectionState) error {
	chain := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		chain.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: r.Host, Roots: r.RootCAs, Intermediates: chain})
	return err
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// checkExtensions judges the relay's offer.
func checkExtensions(f *notice.Findings, c *conn) {
	switch size, err := strconv.ParseInt(c.offered["SIZE"], 10, 64); {
	case err != nil || size == 0: // RFC 1870 §4: 0 is no limit
		f.OK("it names no largest mail (SIZE)")
	case size < leastSize:
		f.Warning("have it take mails of 1 MiB at least", "it takes mails of at most %d bytes (SIZE)", size)
	default:
		f.OK("it takes mails of up to %d MiB (SIZE)", size>>20)
	}
	if c.offers("PIPELINING") {
		f.OK("it takes commands ahead of its answers (PIPELINING)")
	} else {
		f.Warning("switch it on where the relay can; without it each mail waits for more round trips", "it does not offer PIPELINING")
	}
	if !c.offers("SMTPUTF8") {
		f.Warning("switch it on where the relay can", "it does not offer SMTPUTF8: mailboxes with other letters than ASCII can't be reached through it")
	}
}
