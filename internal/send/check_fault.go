package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"tocsin/internal/notice"
)

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
	_, isSilence := errors.AsType[*silence](err)
	nothingInCommon := regexp.MustCompile(`tls: (handshake failure|insufficient security|.*protocol version)`).MatchString(err.Error())
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
	case nothingInCommon:
		f.Error("have it take TLS 1.2 or 1.3 with ciphers that are in use today", "it has no TLS version or cipher in common with this program, which wants TLS 1.2 or newer: %s", said)
	case isLogin:
		refusedLogin(f, r, login)
	case strings.HasPrefix(said, "AUTH"):
		f.Error("have it offer STARTTLS with a certificate that verifies, or take the user out of its url", "%s", said)
	case isReply:
		refusedStep(f, reply)
	case isSilence && errors.Is(err, os.ErrDeadlineExceeded):
		f.Error("see whether it is overloaded, or holds this machine off; its log says more", "%s takes the connection, and then: %s", r.address(), said)
	case errors.Is(err, context.DeadlineExceeded):
		f.Error("see whether a firewall is in between; many networks block port 25", "%s can't be reached in time", r.address())
	case strings.Contains(said, "STARTTLS"):
		f.Error("have it offer STARTTLS; or write smtps:// with its TLS port; or, where the line is safe, ?tls=opportunistic", "%s", said)
	default:
		f.Error("see that it runs and that no firewall is in between", "no connection to %s: %s", r.address(), said)
	}
}

// refusedStep explains a relay's refusal before AUTH.
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

// certificateFault names the fault of a certificate in a few words.
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
		if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
			return "its certificate names no host where clients look for it (subjectAltName), only " + leaf.Subject.String()
		}
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

// speaksTLS reports whether TLS begins with the first byte at an address. Nothing is said there, so that no certificate
// matters.
func speaksTLS(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	c, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		c.Close()
	}
	return err == nil
}
