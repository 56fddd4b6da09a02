package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tocsin/internal/notice"
)

// What a relay is warned about.
const (
	leastValidity = 14 * 24 * time.Hour // of its certificate
	leastSize     = 1 << 20             // of the largest mail that it takes: our mails are far below, logos are not
)

// Check tries a relay up to the point where a mail would begin, at each of its addresses, and never sends one.
func Check(ctx context.Context, r Relay) notice.Findings { return check(ctx, r, Options{}) }

func check(ctx context.Context, r Relay, o Options) (f notice.Findings) {
	p := New([]Relay{r}, o)
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
	// Asked again: what it offers may change with AUTH.
	if err = c.ehlo(p.hello(p.relays[0], c.raw)); err != nil {
		f.Error("ask who runs the relay; its log says more", "it does not answer EHLO any more: %s", withoutAddresses(explain(err)))
	} else {
		checkExtensions(&f, c)
	}
	return f
}

// tryEach tries all addresses of the one relay at once. It returns a connection, if there is one, and the attempts that failed.
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
		if loopback(r.Host) {
			f.OK("no TLS, on this machine alone")
		} else {
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

// certificateFault says in a few words what is wrong with a certificate.
func certificateFault(leaf *x509.Certificate, err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		if time.Now().Before(e.Cert.NotBefore) {
			return "its certificate is valid from " + day(e.Cert.NotBefore) + " on"
		}
		return "its certificate expired on " + day(e.Cert.NotAfter)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is signed by an authority that is not known here (" + leaf.Issuer.CommonName + ")"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "its certificate is for " + strings.Join(append(leaf.DNSNames, addresses(leaf.IPAddresses)...), ", ")
	}
	return printable(err.Error())
}

func addresses(ips []net.IP) (texts []string) {
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	return texts
}

// checkExtensions judges what the relay offers.
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

// refusedBy says why there is no connection that a mail could be sent on.
func refusedBy(f *notice.Findings, r Relay, err error) {
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		advice := "have a certificate issued that this machine trusts for " + r.Host + ", or put its authority among the system's"
		if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
			advice = "renew it on the relay; nothing is sent there until then"
		}
		f.Error(advice, "%s", certificateFault(bad.UnverifiedCertificates[0], bad.Err))
		return
	}
	said := withoutAddresses(explain(err))
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	reply, isReply := errors.AsType[*refusal](err)
	login, isLogin := errors.AsType[*authFailure](err)
	switch {
	case isDNS && dns.IsNotFound:
		f.Error("mend the host in its url, or the DNS", "the name %s is not known", r.Host)
	case isDNS:
		f.Error("see whether this machine's name servers work", "the name %s can't be looked up: %s", r.Host, said)
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Error("start the relay, or mend host and port in its url", "nothing listens at %s", r.address())
	case noTLS:
		f.Error("write smtp:// for STARTTLS, or name the port that speaks TLS from the first byte (465)", "%s does not speak TLS from the first byte, as smtps:// wants", r.address())
	case isLogin:
		refusedLogin(f, r, login)
	case strings.HasPrefix(said, "AUTH"):
		f.Error("have it offer STARTTLS with a certificate that verifies, or take the user out of its url", "%s", said)
	case isReply:
		refusedStep(f, reply)
	case errors.Is(err, context.DeadlineExceeded):
		f.Error("see whether a firewall is in between; many networks block port 25", "%s can't be reached, or does not greet, in time", r.address())
	case strings.Contains(said, "STARTTLS"):
		f.Error("have it offer STARTTLS; or write smtps:// with its TLS port; or, where the line is safe, ?tls=opportunistic", "%s", said)
	default:
		f.Error("see that it runs and that no firewall is in between", "no connection to %s: %s", r.address(), said)
	}
}

// refusedStep says what a relay's refusal before AUTH means.
func refusedStep(f *notice.Findings, r *refusal) {
	said := withoutAddresses(strings.TrimPrefix(r.Error(), r.step+": "))
	switch {
	case r.step == "EHLO":
		f.Error("set TOCSIN_HELLO, or hello of the relay, to a name that the DNS knows", "it refuses the name in EHLO: %s", said)
	case r.step == "STARTTLS":
		f.Error("see its log: its key or certificate may not be readable", "it offers STARTTLS and refuses it: %s", said)
	default:
		f.Error("ask who runs the relay whether this machine may send through it", "it refuses this machine: %s", said)
	}
}

// refusedLogin says why the relay does not let the user in.
func refusedLogin(f *notice.Findings, r Relay, login *authFailure) {
	offered := strings.Join(login.offered, " ")
	said := withoutAddresses(explain(login))
	code, refused := login.refused(535, 530, 550, 554)
	_, busy := login.refused(454, 421)
	switch {
	case len(login.tried) == 0 && offered == "":
		f.Error("have it offer PLAIN, LOGIN, CRAM-MD5 or SCRAM under TLS, or take the user out of its url", "it offers no mechanism to log in with")
	case len(login.tried) == 0 && len(r.Auth) > 0:
		f.Error("mend auth, or leave it out", "it does not offer %s, which auth wants, but %s", strings.Join(r.Auth, " or "), offered)
	case len(login.tried) == 0:
		f.Error("have it offer PLAIN, LOGIN, CRAM-MD5 or SCRAM under TLS; XOAUTH2 takes a token_file or token_command", "it offers no mechanism that can be used here, but %s", offered)
	case refused && r.Password == "":
		f.Error("see that the token is for this user and has not ended", "it refuses the access token of the user (%d)", code)
	case refused:
		f.Error("mend user and password in its url, or in its password_file", "it refuses the password of the user (%d)", code)
	case busy:
		f.Error("see its log: what it asks for passwords does not answer", "it can't check passwords just now: %s", said)
	default:
		f.Error("name one that works with auth, such as auth: PLAIN; its log says more", "it can't use what it offers to log in with (%s): %s", offered, said)
	}
}
