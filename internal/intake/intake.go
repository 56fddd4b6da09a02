// Package intake takes mails that came back from where they come in: SMTP and LMTP, a Maildir, an IMAP mailbox.
//
// Each mail is handed to a Taker. Until that has taken it, the sender or the mailbox keeps it: SMTP and LMTP answer 4xx, in
// a Maildir or an IMAP mailbox it stays new. After a crash, or with several processes on one mailbox, a mail may be handed
// over twice; none is lost. A mail that the Taker refuses for good is set aside, so that it holds up no other.
package intake

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// MaxMail is the most bytes that are read of a mail; the rest is skipped. A report stands in front of the mail that it returns.
const MaxMail = 2 << 20

// Taker records a mail, given with its header as it came. Once it returns nil the mail is not needed any more. An error is a
// *Failure if waiting does not mend it. The same mail may come twice.
type Taker func(ctx context.Context, raw []byte) error

// Result is the fate of a mail that was handed over.
type Result string

// The results.
const (
	Taken   Result = "taken"
	Left    Result = "left"    // the Taker was away or had trouble: the mail is offered again
	Denied  Result = "denied"  // as Left, and an operator is needed: the Taker does not admit us
	Refused Result = "refused" // it will never be taken
)

// Results are all of them.
var Results = []Result{Taken, Left, Denied, Refused}

// The sources, as logs and metrics name them.
const (
	sourceSMTP    = "smtp"
	sourceLMTP    = "lmtp"
	sourceMaildir = "maildir"
	sourceIMAP    = "imap"
)

// Sources are all of them.
var Sources = []string{sourceSMTP, sourceLMTP, sourceMaildir, sourceIMAP}

// Failure is the error of a Taker that does not admit us, or refuses a mail.
type Failure struct {
	Result Result // Denied or Refused
	Err    error  // safe to log
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

// Options are common to all sources.
type Options struct {
	Take   Taker
	Count  func(source string, result Result) // called for each mail that was handed over; nil: nobody counts
	Logger *slog.Logger                       // gets a line for each mail, without addresses or texts; nil: nothing is logged
}

// Intake is the way of all mails to the Taker.
type Intake struct {
	o Options

	mu       sync.Mutex
	troubles map[string]string // by source: why nothing can be read from it now
}

// patience is how long the Taker may need for a mail. Clients of SMTP wait for an answer for ten minutes (RFC 5321
// §4.5.3.2.6).
const patience = time.Minute

// New returns an Intake.
func New(o Options) *Intake {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(string, Result) {}
	}
	return &Intake{o: o, troubles: map[string]string{}}
}

// hand hands a mail to the Taker, which may finish it although ctx ends.
func (in *Intake) hand(ctx context.Context, source string, raw []byte) Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	began := time.Now()
	err := in.o.Take(ctx, raw)
	result, level := Taken, slog.LevelInfo
	if err != nil {
		result, level = Left, slog.LevelWarn
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		result, level = f.Result, slog.LevelError
	}
	attrs := []slog.Attr{slog.String("source", source), slog.String("result", string(result)), slog.Int("bytes", len(raw)), slog.Duration("took", time.Since(began))}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	in.o.Logger.LogAttrs(ctx, level, "mail that came back", attrs...)
	in.o.Count(source, result)
	return result
}

// Ready reports why a source can't be read now, nil if all can. Its error is a notice.Unready.
func (in *Intake) Ready(context.Context) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for source, why := range in.troubles {
		return notice.Unready(source + ": " + why)
	}
	return nil
}

// trouble keeps why a source can't be read, for Ready; "" = it can.
func (in *Intake) trouble(source, why string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if why == "" {
		delete(in.troubles, source)
		return
	}
	in.troubles[source] = why
}
