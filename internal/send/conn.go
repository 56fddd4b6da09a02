package send

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// conn is one connection to a relay, past EHLO, TLS and AUTH. One goroutine uses it at a time.
type conn struct {
	relay    *relayState
	o        *Options
	raw      net.Conn        // the socket: its deadlines hold for TLS too
	text     *textproto.Conn // what is read and written, above TLS where there is any
	secure   bool            // under TLS
	eightBit bool            // the relay offers 8BITMIME
	utf8     bool            // the relay offers SMTPUTF8

	used   bool        // a transaction went well on it
	broken bool        // its state is not known: it is closed without QUIT
	tried  bool        // there was a transaction on it
	ours   bool        // we broke the last transaction off
	lost   bool        // the relay broke the last transaction off
	error  string      // how
	expiry *time.Timer // closes it when it was idle for long enough
}

// past is a deadline that stops an operation under way.
var past = time.Unix(1, 0)

// dial connects, secures and authenticates. On failure nothing stays open.
func (p *Pool) dial(ctx context.Context, r *relayState) (*conn, error) {
	d := net.Dialer{Control: limitUnacknowledged}
	raw, err := d.DialContext(ctx, "tcp", r.address())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(past) })
	c, err := p.converse(ctx, r, raw)
	// Where stop comes too late the deadline may still be set behind the back of the first transaction.
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	raw.SetDeadline(time.Time{})
	return c, nil
}

// converse takes a new connection through greeting, EHLO, TLS and AUTH.
func (p *Pool) converse(ctx context.Context, r *relayState, raw net.Conn) (*conn, error) {
	config := &tls.Config{
		ServerName:         r.Host,
		RootCAs:            r.RootCAs,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: r.TLS == TLSOpportunistic, // RFC 7435: better than plain text, which is the alternative
		VerifyConnection:   p.o.secured,
	}
	c := &conn{relay: r, o: &p.o, raw: raw}
	wire := raw
	if r.TLS == TLSImplicit {
		secured := tls.Client(raw, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		wire, c.secure = secured, true
	}
	client, err := smtp.NewClient(wire, r.Host)
	if err != nil {
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if err := client.Hello(p.o.Hello); err != nil {
		return nil, fmt.Errorf("EHLO: %w", err)
	}
	if !c.secure {
		if c.secure, err = startTLS(client, r.TLS, config); err != nil {
			return nil, err
		}
	}
	if err := authenticate(client, r.Relay, c.secure); err != nil {
		return nil, err
	}
	c.text = client.Text
	c.eightBit, _ = client.Extension("8BITMIME")
	c.utf8, _ = client.Extension("SMTPUTF8")
	return c, nil
}

func startTLS(client *smtp.Client, mode TLSMode, config *tls.Config) (secure bool, err error) {
	if offered, _ := client.Extension("STARTTLS"); !offered {
		if mode == TLSRequired {
			return false, errors.New("the relay does not offer STARTTLS")
		}
		return false, nil
	}
	if err := client.StartTLS(config); err != nil {
		_, declined := errors.AsType[*textproto.Error](err)
		if declined && mode == TLSOpportunistic {
			return false, nil
		}
		return false, fmt.Errorf("STARTTLS: %w", err)
	}
	return true, nil
}

// authenticate logs in with the strongest mechanism that the relay offers, where the relay has a user.
func authenticate(client *smtp.Client, r Relay, secure bool) error {
	if r.User == "" {
		return nil
	}
	if !secure && !loopback(r.Host) {
		return errors.New("AUTH: the password is not sent over a connection without TLS")
	}
	_, offer := client.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(offer))
	for _, m := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(r.User, r.Password)},
		{"SCRAM-SHA-1", smtp.ScramSHA1Auth(r.User, r.Password)},
		{"CRAM-MD5", smtp.CRAMMD5Auth(r.User, r.Password)},
		{"PLAIN", smtp.PlainAuth("", r.User, r.Password, r.Host, true)},
		{"LOGIN", smtp.LoginAuth(r.User, r.Password, r.Host, true)},
	} {
		if slices.Contains(offered, m.name) {
			if err := client.Auth(m.auth); err != nil {
				return fmt.Errorf("AUTH %s: %w", m.name, err)
			}
			return nil
		}
	}
	return errors.New("AUTH: the relay offers no mechanism that is known here")
}

// quiet reports whether the relay has said nothing that was not read, and has not hung up. It never waits.
// Every layer that may hold bytes is asked: the buffer, the socket, and TLS in between.
func (c *conn) quiet() bool {
	if c.text.R.Buffered() > 0 || !c.socketQuiet() {
		return false
	}
	if !c.secure {
		return true
	}
	c.raw.SetReadDeadline(past)
	_, err := c.text.R.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// quit takes leave and closes the connection.
func (c *conn) quit() {
	defer c.raw.Close()
	c.raw.SetDeadline(time.Now().Add(2 * time.Second))
	if c.text.PrintfLine("QUIT") == nil {
		readReply(c.text.R)
	}
}
