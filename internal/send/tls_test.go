package send

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// certificate makes a CA and a server's certificate for 127.0.0.1 that is valid until then.
func certificate(t *testing.T, until time.Time) (*tls.Config, *x509.CertPool) {
	t.Helper()
	return certificateFor(t, until, net.IPv4(127, 0, 0, 1))
}

func certificateFor(t *testing.T, until time.Time, hosts ...net.IP) (*tls.Config, *x509.CertPool) {
	t.Helper()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parent == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key
	}
	ca, caKey := make(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	leaf, key := make(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "relay"}, IPAddresses: hosts,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
	}, ca, caKey)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}, roots
}

func TestConnectionsAreSecuredAsTheRelaySays(t *testing.T) {
	t.Parallel()
	good, roots := certificate(t, time.Now().Add(time.Hour))
	expired, expiredRoots := certificate(t, time.Now().Add(-time.Hour))
	offered, auth := []string{"STARTTLS"}, []string{"STARTTLS", "AUTH LOGIN PLAIN"}
	for _, c := range []struct {
		name     string
		mode     TLSMode
		implicit bool
		ehlo     []string
		config   *tls.Config
		roots    *x509.CertPool
		user     string
		password string
		underTLS bool
		cause    string // why there is no connection; "" = there is one
	}{
		{name: "smtps", mode: TLSImplicit, implicit: true, config: good, roots: roots, underTLS: true},
		{name: "smtps, unknown CA", mode: TLSImplicit, implicit: true, config: good, cause: "unknown authority"},
		{name: "smtps, expired", mode: TLSImplicit, implicit: true, config: expired, roots: expiredRoots, cause: "expired"},
		{name: "smtps to a plain port", mode: TLSImplicit, config: good, roots: roots, cause: "TLS"},
		{name: "STARTTLS required and offered", ehlo: offered, config: good, roots: roots, underTLS: true},
		{name: "STARTTLS required, not offered", config: good, roots: roots, cause: "does not offer STARTTLS"},
		{name: "STARTTLS required, unknown CA", ehlo: offered, config: good, cause: "unknown authority"},
		{name: "STARTTLS required, expired", ehlo: offered, config: expired, roots: expiredRoots, cause: "expired"},
		{name: "opportunistic, not offered", mode: TLSOpportunistic},
		{name: "opportunistic, unknown and expired", mode: TLSOpportunistic, ehlo: offered, config: expired, underTLS: true},
		{name: "AUTH under TLS", ehlo: auth, config: good, roots: roots, user: "ada", password: "secret", underTLS: true},
		{name: "AUTH under smtps", mode: TLSImplicit, implicit: true, ehlo: auth[1:], config: good, roots: roots, user: "ada", password: "secret", underTLS: true},
		{name: "AUTH on loopback", mode: TLSOpportunistic, ehlo: auth[1:], user: "ada", password: "secret"},
		{name: "AUTH with a wrong password", ehlo: auth, config: good, roots: roots, user: "ada", password: "hunter2", cause: "535"},
		{name: "AUTH not offered", mode: TLSOpportunistic, user: "ada", password: "secret", cause: "no mechanism"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, nil)
			s.tls, s.implicit, s.ehlo = c.config, c.implicit, append(c.ehlo, "8BITMIME")
			s.start()
			r := s.relay()
			r.TLS, r.RootCAs, r.User, r.Password = c.mode, c.roots, c.user, c.password
			p := pool(t, usual, r)
			if c.cause != "" {
				_, err := p.dial(t.Context(), p.relays[0])
				if err == nil || !strings.Contains(err.Error(), c.cause) {
					t.Errorf("error is %v, want %q in it", err, c.cause)
				}
				if err != nil && c.password != "" && strings.Contains(err.Error(), c.password) {
					t.Errorf("the error tells the password: %v", err)
				}
				return
			}
			for range 3 { // the connection is reused under TLS too
				mustSend(t, p)
			}
			if s.connections.Load() != 1 {
				t.Errorf("%d connections for three mails", s.connections.Load())
			}
			if got := s.underTLS.Load() == 3; got != c.underTLS {
				t.Errorf("under TLS: %v", got)
			}
			if got := s.logins.Load() > 0; got != (c.user != "") {
				t.Errorf("logged in: %v", got)
			}
		})
	}
}

func TestAnEarlyReplyIsSeenThroughTLS(t *testing.T) {
	t.Parallel()
	b := &bundle{permit: &permit{}, script: map[string]act{}}
	b.whileWaiting(act{say: "421 4.4.2 timeout"})
	s := newServer(t, b.script)
	config, roots := certificate(t, time.Now().Add(time.Hour))
	s.tls, s.implicit = config, true
	s.start()
	r := s.relay()
	r.TLS, r.RootCAs = TLSImplicit, roots
	a, err := pool(t, usual, r).Send(t.Context(), mail, b.permit)
	if err != nil || a.Outcome != notice.OutcomeLater || !a.NoDot || a.Code != 421 {
		t.Errorf("got %+v, %v", a, err)
	}
	s.stop()
	if s.dots.Load() != 0 {
		t.Error("a dot went out")
	}
}

// recording keeps all that is read from its connections, one after the other.
type recording struct {
	net.Listener
	read   bytes.Buffer
	closed chan struct{}
}

func (l *recording) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return recorded{c, l}, err
}

type recorded struct {
	net.Conn
	by *recording
}

func (c recorded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.by.read.Write(b[:n])
	return n, err
}

func (c recorded) Close() error {
	select {
	case c.by.closed <- struct{}{}:
	default:
	}
	return c.Conn.Close()
}

// TestTLSEndsWithItsCloseNotify: a relay can tell whether a connection under TLS was ended or cut. The last record is
// an alert.
func TestTLSEndsWithItsCloseNotify(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t, time.Now().Add(time.Hour))
	config.MaxVersion = tls.VersionTLS12 // 1.3 hides the types of records
	s := newServer(t, map[string]act{atQUIT: {say: "221 bye"}})
	listener := &recording{Listener: s.listener, closed: make(chan struct{}, 1)}
	s.tls, s.implicit, s.listener = config, true, listener
	s.start()
	r := s.relay()
	r.TLS, r.RootCAs = TLSImplicit, roots
	p := pool(t, usual, r)
	mustSend(t, p)
	p.Close()
	<-listener.closed
	last := byte(0)
	for b := listener.read.Bytes(); len(b) >= 5; {
		last = b[0]
		b = b[min(len(b), 5+int(binary.BigEndian.Uint16(b[3:]))):]
	}
	if last != 21 {
		t.Errorf("the last record has type %d, want 21", last)
	}
}
