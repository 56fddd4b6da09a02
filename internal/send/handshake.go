package send

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"
)

// refusal is a reply that ends a handshake, or one way to log in.
type refusal struct {
	step string // the greeting, or the command
	reply
}

func (e *refusal) Error() string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s: %d %s %s", e.step, e.code, e.enhanced, e.text)), " ")
}

// silence is why a step of a handshake, or of a login, got no reply.
type silence struct {
	step  string
	cause error
}

func (e *silence) Error() string { return e.step + ": " + explain(e.cause) }
func (e *silence) Unwrap() error { return e.cause }

// converse takes a new connection through greeting, EHLO, TLS and AUTH.
func (p *Pool) converse(ctx context.Context, r *relayState, raw net.Conn) (*conn, error) {
	c := &conn{relay: r, o: &p.o, raw: raw, swift: true, inbox: make(chan *task, 1), gone: make(chan struct{})}
	if s, ok := raw.(syscall.Conn); ok {
		c.socket, _ = s.SyscallConn()
	}
	c.speakOver(raw)
	if r.TLS == TLSImplicit {
		if err := c.secureBy(ctx, "TLS"); err != nil {
			return nil, err
		}
	}
	greeting, err := readReply(c.text.R)
	if err != nil {
		return nil, &silence{"greeting", err}
	} else if greeting.code != 220 {
		return nil, &refusal{"greeting", greeting}
	}
	c.apart = greeting.apart()
	hello := p.hello(r, raw)
	if err := c.ehlo(hello); err != nil {
		return nil, err
	}
	if !c.secure {
		if err := c.startTLS(ctx, hello); err != nil {
			return nil, err
		}
	}
	if err := c.authenticate(ctx); err != nil {
		return nil, err
	}
	c.eightBit, c.utf8, c.pipelining = c.offers("8BITMIME"), c.offers("SMTPUTF8"), c.offers("PIPELINING")
	c.sizes, c.dsn = c.offers("SIZE"), c.offers("DSN")
	c.size, _ = strconv.Atoi(c.offered["SIZE"])
	return c, nil
}

// speakOver has commands and replies go over wire from now on.
func (c *conn) speakOver(wire net.Conn) {
	c.wire, c.text = wire, textproto.NewConn(wire)
}

// ask sends a command in one line and reads the reply; heard, where it is not nil, is given the text of each line.
func (c *conn) ask(line string, heard func(string)) (reply, error) {
	if err := c.text.PrintfLine("%s", line); err != nil {
		return reply{}, err
	}
	return readLines(c.text.R, heard)
}

// ehlo asks for the relay's offer; one that knows no EHLO is greeted with HELO, and offers nothing (RFC 5321 §3.2).
func (c *conn) ehlo(hello string) error {
	c.offered = map[string]string{}
	first := true
	rep, err := c.ask("EHLO "+hello, func(line string) {
		if !first { // the first line names the relay
			c.offer(line)
		}
		first = false
	})
	switch {
	case err != nil:
		return &silence{"EHLO", err}
	case rep.code == 250:
		return nil
	}
	clear(c.offered)
	if rep.code/100 == 5 {
		if old, err := c.ask("HELO "+hello, nil); err == nil && old.code == 250 {
			return nil
		}
	}
	return &refusal{"EHLO", rep}
}

// offer keeps a line of the relay's offer. Keywords ignore case (RFC 5321 §4.1.1.1); old servers write AUTH=LOGIN.
func (c *conn) offer(line string) {
	keyword, value, _ := strings.Cut(strings.TrimSpace(line), " ")
	keyword = strings.ToUpper(keyword)
	if mechanism, ok := strings.CutPrefix(keyword, "AUTH="); ok {
		keyword, value = "AUTH", mechanism+" "+value
	}
	c.offered[keyword] = strings.TrimSpace(c.offered[keyword] + " " + value)
}

func (c *conn) offers(keyword string) bool {
	_, ok := c.offered[keyword]
	return ok
}

func (c *conn) startTLS(ctx context.Context, hello string) error {
	mode := c.relay.TLS
	if !c.offers("STARTTLS") {
		if mode == TLSRequired {
			return errNoSTARTTLS
		}
		return nil
	}
	rep, err := c.ask("STARTTLS", nil)
	switch {
	case err != nil:
		return &silence{"STARTTLS", err}
	case rep.code >= 400 && mode == TLSOpportunistic:
		c.declined = &refusal{"STARTTLS", rep}
		return nil
	case rep.code != 220:
		return &refusal{"STARTTLS", rep}
	case c.text.R.Buffered() > 0: // by somebody on the line, to be taken for an answer under TLS
		return errors.New("STARTTLS: the relay, or somebody on the line, said more before TLS began")
	}
	if err := c.secureBy(ctx, "STARTTLS"); err != nil {
		return err
	}
	return c.ehlo(hello) // the answer before TLS does not count (RFC 3207 §4.2)
}

var errNoSTARTTLS = errors.New("the relay does not offer STARTTLS")

// secureBy has TLS begin. The certificate must verify unless the relay's mode overlooks that, which is noted.
func (c *conn) secureBy(ctx context.Context, step string) error {
	r := c.relay
	secured := tls.Client(c.raw, &tls.Config{
		ServerName:         r.Host,
		RootCAs:            r.RootCAs,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: r.TLS == TLSOpportunistic, // RFC 7435: better than plain text, which is the alternative
		VerifyConnection: func(s tls.ConnectionState) error {
			c.unverified = verify(r.Relay, &s)
			return nil
		},
	})
	if err := secured.HandshakeContext(ctx); err != nil {
		return &silence{step, err}
	}
	c.secure = true
	c.speakOver(secured)
	return nil
}

// state is that of TLS; nil: there is none.
func (c *conn) state() *tls.ConnectionState {
	secured, ok := c.wire.(*tls.Conn)
	if !ok {
		return nil
	}
	s := secured.ConnectionState()
	return &s
}
