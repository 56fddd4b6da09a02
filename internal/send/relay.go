package send

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// TLSMode says how a connection to a relay is secured.
type TLSMode int

// The ways to secure a connection.
const (
	// TLSRequired uses STARTTLS and verifies the certificate; without either there is no connection.
	TLSRequired TLSMode = iota
	// TLSOpportunistic uses STARTTLS where it is offered, whatever the certificate, and plain text elsewhere.
	TLSOpportunistic
	// TLSImplicit speaks TLS from the first byte (RFC 8314) and verifies the certificate.
	TLSImplicit
)

// DefaultConnections is how many connections a worker holds to a relay that names no number.
const DefaultConnections = 16

// Relay is an SMTP server that mail is handed to.
type Relay struct {
	Name        string // as answers and logs call it; the host where none is given
	Host        string // DNS name or IP address, the latter without brackets
	Port        int
	TLS         TLSMode
	User        string // no AUTH where empty
	Password    string
	Connections int            // at most so many at once; 0 is DefaultConnections
	Quota       int            // mails that it takes in 24 hours, from all processes; 0 = as many as there are
	RootCAs     *x509.CertPool // nil: the system's
	Family      string         // of its addresses: "ip4" or "ip6"; "" = both
	Hello       string         // the name in EHLO; "" = that of the Options
	ReturnPath  string         // the reverse-path, to which a mail's token is added (bounces+token@…); "" = that of each mail
	Auth        []string       // SASL mechanisms in the order in which they are tried; none: the strongest that is offered first

	// Where an OAuth access token for XOAUTH2 comes from, in place of a password: a file, or the output of a command.
	TokenFile    string
	TokenCommand []string
}

// ParseRelay reads a relay's URL: smtp://user:password@host:port or smtps://…. The port is 25 for smtp and 465 for
// smtps where none is given. An smtp relay must offer STARTTLS with a certificate that verifies. It need not on a
// loopback address, or where the URL says ?tls=opportunistic. ?name=… names the relay. The error is a *notice.Error
// that repeats nothing of the URL, which may hold a password.
func ParseRelay(raw string) (Relay, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Relay{}, notice.Invalid("", "is not a URL like smtp://user:password@host:587"+
			" (write special characters of the password as %%XX)")
	}
	r := Relay{Host: u.Hostname(), Connections: DefaultConnections}
	switch u.Scheme {
	case "smtp":
		r.Port = 25
	case "smtps":
		r.Port, r.TLS = 465, TLSImplicit
	default:
		return Relay{}, notice.Invalid("", "must begin with smtp:// or smtps://")
	}
	switch {
	case r.Host == "" || strings.ContainsAny(r.Host, " \t"):
		return Relay{}, notice.Invalid("", "names no host: smtp://host:587")
	case u.Path != "" && u.Path != "/" || u.Fragment != "" || u.Opaque != "":
		return Relay{}, notice.Invalid("", "has something behind the host and port"+
			" (write / ? # in the password as %%2F %%3F %%23)")
	}
	if p := u.Port(); p != "" {
		if r.Port, err = strconv.Atoi(p); err != nil || r.Port < 1 || r.Port > 65535 {
			return Relay{}, notice.Invalid("", "has a port that is not between 1 and 65535")
		}
	}
	if u.User != nil {
		r.User = u.User.Username()
		r.Password, _ = u.User.Password()
		if r.User == "" {
			return Relay{}, notice.Invalid("", "has a password and no user")
		}
	}
	if r.TLS == TLSRequired && loopback(r.Host) {
		r.TLS = TLSOpportunistic
	}
	return r.options(u.RawQuery)
}

func (r Relay) options(query string) (Relay, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return Relay{}, notice.Invalid("", "has a malformed query; its options are tls=opportunistic and name=…")
	}
	for key, v := range values {
		switch {
		case key == "name" && len(v) == 1 && v[0] != "":
			r.Name = v[0]
		case key == "tls" && len(v) == 1 && v[0] == "opportunistic":
			if r.TLS == TLSImplicit {
				return Relay{}, notice.Invalid("", "cannot be smtps and tls=opportunistic at once")
			}
			r.TLS = TLSOpportunistic
		default:
			return Relay{}, notice.Invalid("", "has an unknown option; there are tls=opportunistic and name=…")
		}
	}
	if r.Name == "" {
		r.Name = r.Host
	}
	return r, nil
}

// String names the relay and where it is, without its credentials.
func (r Relay) String() string {
	scheme := "smtp"
	if r.TLS == TLSImplicit {
		scheme = "smtps"
	}
	return fmt.Sprintf("%s (%s://%s)", r.Name, scheme, r.address())
}

// GoString is String, so that no verb prints the password.
func (r Relay) GoString() string { return r.String() }

func (r Relay) address() string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// loopback reports whether mails to host stay on this machine.
func loopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
