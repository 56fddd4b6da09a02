// Package sink receives mail over SMTP and keeps or refuses it as told: the inbox of the demo, the other side of the
// tests, and the measure of the benchmarks.
//
// The local part of a recipient, in any case, scripts the fate of a mail:
//
//	tempfail…         RCPT is refused with 451, once an address
//	permfail…         RCPT is refused with 550
//	slow…             the end of the message is answered late
//	drop-before-dot…  the connection is cut behind 354, once an address
//	drop-after-dot…   the mail is taken, and the connection cut without an answer
package sink

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Options are the settings of a Sink.
type Options struct {
	Store   string        // append a line of JSON a mail to this file, which is created where it lacks
	Discard bool          // count mails and keep nothing of them
	Keep    int           // how many mails Mails and the inbox hold, the newest; 0 is 5,000
	SlowBy  time.Duration // how late "slow…" is answered; 0 is 2 s
	OnMail  func(Mail)    // called for each mail that was taken, before it is answered; not with Discard
	// Refuse may refuse a command, "MAIL", "RCPT" or "." (the end of the message), with a *smtp.SMTPError. to is the
	// recipient, "" at MAIL. Nil refuses nothing.
	Refuse      func(command, to string) error
	MaxSize     int64       // bytes of the largest mail that it takes; 0 is 64 MiB; not with Discard
	ASCII       bool        // it does not offer SMTPUTF8; not with Discard
	TLS         *tls.Config // offers STARTTLS; nil: plain text only
	ImplicitTLS bool        // TLS from the first byte instead, as smtps wants it
	User        string      // where not empty, MAIL wants AUTH PLAIN with this name
	Password    string
	Logger      *slog.Logger // nil: nothing is logged
}

// maxMessage is the size of the largest mail that is taken, in bytes.
const maxMessage = 64 << 20

// Mail is one mail that the sink has taken; its JSON is a line of the store.
type Mail struct {
	At        time.Time `json:"at"`        // UTC
	MailFrom  string    `json:"mail_from"` // "" is the null reverse-path
	RcptTo    []string  `json:"rcpt_to"`
	MessageID string    `json:"message_id"` // with angle brackets
	Subject   string    `json:"subject"`    // decoded
	Language  string    `json:"language"`   // Content-Language
	Raw       string    `json:"raw"`        // as it came, dots unstuffed; in JSON bytes that are no UTF-8 become U+FFFD
}

// Sink is an SMTP server. Listen comes first, then Serve.
type Sink struct {
	o      Options
	server *smtp.Server
	ended  chan struct{} // closed by Close

	listener net.Listener
	store    *os.File

	mu      sync.Mutex
	closed  bool
	count   int
	mails   []Mail          // the newest; the last one is number count
	changed chan struct{}   // closed at the next mail; nil while nobody waits
	done    map[string]bool // scripts that were played to their end: "script address"
}

// New returns a sink.
func New(o Options) *Sink {
	o.Keep = cmp.Or(o.Keep, 5000)
	o.SlowBy = cmp.Or(o.SlowBy, 2*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Refuse == nil {
		o.Refuse = func(_, _ string) error { return nil }
	}
	s := &Sink{o: o, ended: make(chan struct{}), done: map[string]bool{}}
	s.server = smtp.NewServer(smtp.BackendFunc(s.session))
	s.server.Domain = "sink"
	s.server.MaxMessageBytes = cmp.Or(o.MaxSize, maxMessage)
	s.server.EnableSMTPUTF8 = !o.ASCII
	s.server.AllowInsecureAuth = true
	s.server.ErrorLog = slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug)
	if !o.ImplicitTLS {
		s.server.TLSConfig = o.TLS
	}
	return s
}

// Listen opens the store and the port; addr is host:port, port 0 any free one.
func (s *Sink) Listen(addr string) error {
	if s.o.Store != "" {
		f, err := os.OpenFile(s.o.Store, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("open the store: %w", err)
		}
		s.store = f
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		if s.store != nil {
			s.store.Close()
		}
		return fmt.Errorf("listen for mail: %w", err)
	}
	s.listener = l
	if s.o.Discard {
		s.listener = discardListener{l}
	}
	if s.o.ImplicitTLS {
		s.listener = tls.NewListener(s.listener, s.o.TLS)
	}
	return nil
}

// Addr is where the sink listens.
func (s *Sink) Addr() net.Addr { return s.listener.Addr() }

// Serve takes mail until ctx ends or Close is called, and returns nil then. The sink is closed when it returns.
func (s *Sink) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	err := s.server.Serve(s.listener)
	select {
	case <-s.ended:
		return nil
	default:
		return errors.Join(err, s.Close())
	}
}

// Close cuts every connection and closes the store. Mails that were answered with 250 before are in it.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.ended)
	err := s.server.Close()
	if s.listener != nil {
		s.listener.Close() // the server knows of it only once it serves
	}
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	return err
}

// Count is the number of mails taken.
func (s *Sink) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Mails returns the mails that are kept, in the order of their coming.
func (s *Sink) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails[max(0, len(s.mails)-s.o.Keep):])
}

// WaitFor returns nil when n mails were taken, and an error when ctx ends or the sink is closed before that.
func (s *Sink) WaitFor(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		count := s.count
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if count >= n {
			return nil
		}
		select {
		case <-changed:
		case <-s.ended:
			return fmt.Errorf("wait for %d mails: the sink was closed after %d", n, count)
		case <-ctx.Done():
			return fmt.Errorf("wait for %d mails, %d have come: %w", n, count, context.Cause(ctx))
		}
	}
}

// take keeps a mail. When it returns nil the mail is in the store, as far as the operating system can tell.
func (s *Sink) take(m Mail) error {
	var line bytes.Buffer
	if s.store != nil {
		e := json.NewEncoder(&line)
		e.SetEscapeHTML(false)
		if err := e.Encode(m); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the sink is closed")
	}
	if s.store != nil {
		if _, err := s.store.Write(line.Bytes()); err != nil {
			return err
		}
	}
	if len(s.mails) >= 2*s.o.Keep {
		s.mails = slices.Delete(s.mails, 0, len(s.mails)-s.o.Keep+1)
	}
	s.mails = append(s.mails, m)
	s.counted()
	return nil
}

// counted adds one mail; the caller holds the mutex.
func (s *Sink) counted() {
	s.count++
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// first reports whether this is the first time that script is played for address.
func (s *Sink) first(script, address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := script + " " + address
	played := s.done[key]
	s.done[key] = true
	return !played
}
