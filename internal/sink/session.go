package sink

import (
	"bufio"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The scripts, by the beginning of the local part.
const (
	tempFail      = "tempfail"
	permFail      = "permfail"
	slow          = "slow"
	dropBeforeDot = "drop-before-dot"
	dropAfterDot  = "drop-after-dot"
)

// session is one connection.
type session struct {
	sink     *Sink
	conn     *smtp.Conn
	loggedIn bool
	from     string
	to       []string
	gone     bool // the connection was cut: commands that were read before count for nothing
}

func (s *Sink) session(c *smtp.Conn) (smtp.Session, error) { return &session{sink: s, conn: c}, nil }

// AuthMechanisms offers AUTH where a user is set.
func (c *session) AuthMechanisms() []string {
	if c.sink.o.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth checks user and password.
func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != c.sink.o.User || password != c.sink.o.Password {
			return smtp.ErrAuthFailed
		}
		c.loggedIn = true
		return nil
	}), nil
}

// Mail begins a mail.
func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if c.gone {
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "The connection was cut"}
	}
	if c.sink.o.User != "" && !c.loggedIn {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authenticate first"}
	}
	c.from = quoted(from)
	return c.sink.o.Refuse("MAIL", "")
}

// Rcpt adds a recipient, or refuses it as its name says.
func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	to = quoted(to)
	switch {
	case scripted(to, tempFail) && c.sink.first(tempFail, strings.ToLower(to)):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "Mailbox is busy, try again"}
	case scripted(to, permFail):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox"}
	}
	if err := c.sink.o.Refuse("RCPT", to); err != nil {
		return err
	}
	c.to = append(c.to, to)
	return nil
}

// Data takes the message.
func (c *session) Data(r io.Reader) error {
	if to, ok := c.script(dropBeforeDot); ok && c.sink.first(dropBeforeDot, strings.ToLower(to)) {
		c.cut()
		return nil
	}
	for _, to := range c.to {
		if err := c.sink.o.Refuse(".", to); err != nil {
			return err
		}
	}
	if err := c.take(r); err != nil {
		return err
	}
	if _, ok := c.script(slow); ok {
		late := time.NewTimer(c.sink.o.SlowBy)
		defer late.Stop()
		select {
		case <-late.C:
		case <-c.sink.ended:
		}
	}
	if _, ok := c.script(dropAfterDot); ok {
		c.cut()
	}
	return nil
}

func (c *session) take(r io.Reader) error {
	if c.sink.o.Discard {
		if d, ok := c.conn.Conn().(*discardConn); ok {
			d.skip()
			defer func() { d.skipping = false }()
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		c.sink.mu.Lock()
		defer c.sink.mu.Unlock()
		c.sink.counted()
		return nil
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := Mail{At: time.Now().UTC(), MailFrom: c.from, RcptTo: c.to, Raw: string(raw)}
	m.MessageID, m.Subject, m.Language = describe(m.Raw)
	if err := c.sink.take(m); err != nil {
		c.sink.o.Logger.Error("mail not stored", slog.Any("error", err))
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "The mail could not be stored"}
	}
	if c.sink.o.OnMail != nil {
		c.sink.o.OnMail(m)
	}
	return nil
}

// Reset forgets the mail under way.
func (c *session) Reset() { c.from, c.to = "", nil }

// Logout ends the session.
func (c *session) Logout() error { return nil }

// cut drops the connection without a word: bytes that were not sent yet never are.
func (c *session) cut() {
	c.gone = true
	raw := c.conn.Conn()
	if d, ok := raw.(*discardConn); ok {
		d.flush() // the 354
	}
	if t, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	raw.Close()
}

// script returns the first recipient that plays the script.
func (c *session) script(name string) (to string, ok bool) {
	for _, to := range c.to {
		if scripted(to, name) {
			return to, true
		}
	}
	return "", false
}

func scripted(address, script string) bool {
	return len(address) >= len(script) && strings.EqualFold(address[:len(script)], script)
}

// quoted puts the quotes back around a local part that needs them: the server takes them off.
func quoted(address string) string {
	if address == "" {
		return ""
	}
	s := (&mail.Address{Address: address}).String()
	return strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
}

// describe returns the store's words about a message: three of its header fields, decoded, "" where it has none.
func describe(raw string) (messageID, subject, language string) {
	// A malformed line ends the header; the fields before it count.
	h, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(raw))).ReadMIMEHeader()
	return field(h, "Message-Id"), field(h, "Subject"), field(h, "Content-Language")
}

// field returns a header field as text: RFC 2047 words decoded, valid UTF-8.
func field(h textproto.MIMEHeader, name string) string {
	v := h.Get(name)
	if decoded, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
		v = decoded
	}
	return strings.ToValidUTF8(strings.TrimSpace(v), "\uFFFD")
}
