package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// Listening says how a Server listens.
type Listening struct {
	Addr    string   // host:port, or the path of a Unix socket
	LMTP    bool     // RFC 2033 in place of RFC 5321
	Domains []string // of recipients that are taken, in lower case
}

// limits are those of a Server; a field that is 0 has none.
type limits struct {
	connections int           // at once
	idle        time.Duration // until a command is there, and a message has come
	life        time.Duration // of a connection
	commands    int64         // bytes of commands between two mails
	mails       int           // of a connection
	recipients  int           // of a mail, those that are refused too
	drain       time.Duration // how long mails under way may take at the end
}

// usual are limits that leave room for every relay: it may idle for five minutes (RFC 5321 §4.5.3.2.7) and name a hundred
// recipients (§4.5.3.1.8).
var usual = limits{connections: 50, idle: 5 * time.Minute, life: 30 * time.Minute, commands: 64 << 10, mails: 1000, recipients: 100, drain: 30 * time.Second}

// Server takes mails by SMTP or LMTP. It answers 250 to a mail once the Taker has it, 451 as long as it has not, and 554 if it
// refuses it.
type Server struct {
	in     *Intake
	o      Listening
	source string
	limits limits
	ln     *listener
	smtp   *smtp.Server
}

// NewServer opens the port or the socket. A socket that a dead process left is replaced.
func (in *Intake) NewServer(o Listening) (*Server, error) { return in.newServer(o, usual) }

func (in *Intake) newServer(o Listening, limits limits) (*Server, error) {
	s := &Server{in: in, o: o, source: sourceSMTP, limits: limits}
	if o.LMTP {
		s.source = sourceLMTP
	}
	ln, err := listen(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	s.ln = newListener(ln, limits)
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.LMTP = o.LMTP
	s.smtp.Domain, err = os.Hostname()
	if err != nil {
		s.smtp.Domain = "localhost"
	}
	// There is no SIZE: the end of a long mail is skipped. Lines of a report may have any length; those of commands are bounded
	// by the listener.
	s.smtp.MaxLineLength = 0
	s.smtp.MaxRecipients = limits.recipients
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = limits.idle, limits.idle
	s.smtp.ErrorLog = slog.NewLogLogger(in.o.Logger.Handler(), slog.LevelDebug)
	return s, nil
}

// listen listens on host:port, or at the path of a socket, which every user may write to: its directory says who gets there.
func listen(addr string) (net.Listener, error) {
	if !strings.Contains(addr, "/") {
		return net.Listen("tcp", addr)
	}
	if conn, err := net.Dial("unix", addr); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another process listens at %s", addr)
	} else if info, err := os.Lstat(addr); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(addr)
	}
	ln, err := net.Listen("unix", addr)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(addr, 0o666); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Run takes mails until ctx ends, and answers those that are under way then.
func (s *Server) Run(ctx context.Context) error {
	s.in.o.Logger.Info("listening for mails that come back", slog.String("source", s.source), slog.String("listen", s.Addr().String()))
	ended := make(chan error, 1)
	go func() { ended <- s.smtp.Serve(s.ln) }()
	select {
	case err := <-ended:
		s.ln.end()
		return fmt.Errorf("take mails by %s: %w", s.source, err)
	case <-ctx.Done():
	}
	s.ln.hurry()
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.drain)
	defer cancel()
	err := s.smtp.Shutdown(drained)
	s.ln.end()
	<-ended
	if errors.Is(err, context.DeadlineExceeded) {
		s.in.o.Logger.Warn("mails under way were cut, and will come again", slog.String("source", s.source))
	}
	return nil
}

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	return &session{Server: s, conn: c.Conn().(*conn)}, nil
}

// session is one connection.
type session struct {
	*Server
	conn  *conn
	from  string
	to    []string
	asked int // recipients of this mail
	mails int
}

var (
	errBusy     = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "Too much for one connection"}
	errForeign  = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Mail for this domain is not taken here"}
	errCut      = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "The mail was cut short"}
	errLater    = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "The mail could not be recorded, try again"}
	errNotTaken = &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "The mail is not taken"}
)

// Mail begins a mail. Any reverse-path will do: that of a report is empty, that of an answer is not.
func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if c.mails++; c.mails > c.limits.mails {
		c.conn.expire()
		return errBusy
	}
	c.from = from
	return nil
}

// Rcpt adds a recipient.
func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if c.asked++; c.asked > c.limits.recipients {
		c.conn.expire()
		return errBusy
	}
	at := strings.LastIndexByte(to, '@')
	if !slices.Contains(c.o.Domains, strings.ToLower(strings.TrimSuffix(to[at+1:], "."))) {
		return errForeign
	}
	c.to = append(c.to, to)
	return nil
}

// Data takes the message. The addresses of the envelope are put in front, as the last server does (RFC 5321 §4.4, RFC 9228).
func (c *session) Data(r io.Reader) error {
	c.conn.mailBegins()
	defer c.conn.mailEnds()
	raw := fmt.Appendf(nil, "Return-Path: <%s>\r\n", c.from)
	for _, to := range c.to {
		raw = fmt.Appendf(raw, "Delivered-To: %s\r\n", to)
	}
	read, err := io.ReadAll(io.LimitReader(r, int64(MaxMail-len(raw))))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return errCut
	}
	switch c.in.hand(context.Background(), c.source, append(raw, read...)) {
	case Taken:
		return nil
	case Refused:
		return errNotTaken
	}
	return errLater
}

// Reset forgets the mail under way.
func (c *session) Reset() { c.from, c.to, c.asked = "", nil, 0 }

// Logout ends the session.
func (c *session) Logout() error { return nil }
