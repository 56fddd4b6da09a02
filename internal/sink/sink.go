// Package sink is an SMTP server that keeps or refuses mail as told.
package sink

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Options are the settings of a Sink.
type Options struct {
	Store       string        // append a line of JSON a mail to this file
	Discard     bool          // count mails and keep nothing of them
	Keep        int           // how many mails Mails and the inbox hold, the newest; 0 is 5,000
	SlowBy      time.Duration // how late "slow…" is answered; 0 is 2 s
	OnMail      func(Mail)    // called for each mail that was taken, before it is answered; may be nil
	TLS         *tls.Config   // offers STARTTLS; nil: plain text only
	ImplicitTLS bool          // TLS from the first byte, as smtps wants it
	User        string        // where not empty, MAIL wants AUTH with this name
	Password    string
	Logger      *slog.Logger // nil: nothing is logged
}

// Mail is one mail that the sink has taken; its JSON is a line of the store.
type Mail struct {
	At        time.Time `json:"at"`
	MailFrom  string    `json:"mail_from"`
	RcptTo    []string  `json:"rcpt_to"`
	MessageID string    `json:"message_id"` // with angle brackets
	Subject   string    `json:"subject"`    // decoded
	Language  string    `json:"language"`   // Content-Language
	Raw       string    `json:"raw"`        // as it came, dots unstuffed
}

// Sink is an SMTP server for tests, trials and benchmarks.
type Sink struct{}

// New returns a sink.
func New(o Options) *Sink { return &Sink{} }

// Listen opens the store and the port.
func (s *Sink) Listen(addr string) error { return nil }

// Addr is where the sink listens.
func (s *Sink) Addr() net.Addr { return nil }

// Serve takes mail until ctx ends or Close is called, and returns nil then.
func (s *Sink) Serve(ctx context.Context) error { return nil }

// Close stops the sink.
func (s *Sink) Close() error { return nil }

// Count is the number of mails taken.
func (s *Sink) Count() int { return 0 }

// Mails returns the mails that are kept, in the order of their coming.
func (s *Sink) Mails() []Mail { return nil }

// WaitFor returns when n mails were taken or ctx has ended.
func (s *Sink) WaitFor(ctx context.Context, n int) error { return nil }

// Handler is the inbox as a web page.
func (s *Sink) Handler() http.Handler { return nil }
