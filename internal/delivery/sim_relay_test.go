package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// simRelay takes mails, or does not, and says so, or does not. What it has taken is what a mailbox gets.
type simRelay struct {
	world  *world
	copies map[mailbox]int
	// possible counts the dots that a 250, or silence, may have accepted.
	possible map[mailbox]int
	said     map[mailbox]bool        // it answered 250, though perhaps to nobody
	dots     map[ledger.Attempt]bool // written
	never    map[ledger.Attempt]bool // answered 5xx
	buffer   []*exchange             // dots that arrived and were not read yet
	wrong    error                   // the first thing that may not happen here
}

// mailbox names what a notice may reach once.
type mailbox struct{ notice, address string }

func (r *simRelay) has(n *noticeRow, key string) bool { return r.copies[mailbox{n.Key, key}] > 0 }

func (r *simRelay) fail(format string, args ...any) {
	if r.wrong == nil {
		r.wrong = fmt.Errorf(format, args...)
	}
}

// exchange is one SMTP transaction.
type exchange struct {
	at      ledger.Attempt
	ctx     context.Context
	mail    notice.Mail
	until   time.Time
	last    time.Time // of the last command: the relay hangs up when nothing follows it for simIdle
	pending bool      // checked, and not yet written
	taken   bool
	answer  notice.Answer
}

func (x *exchange) mailbox() mailbox {
	_, rest, _ := bytes.Cut(x.mail.Raw, []byte("X-Notice: "))
	key, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return mailbox{string(key), strings.ToLower(x.mail.To)}
}

var (
	errOver    = errors.New("the transaction is over")
	errNoRelay = errors.New("no relay can be reached")
)

// simSender is package send as the protocol sees it: it follows the rules of when the dot may be written.
type simSender struct {
	world *world
	actor *actor
}

func (s *simSender) Send(ctx context.Context, m notice.Mail, p notice.Permit) (notice.Answer, error) {
	mark := p.(*permit)
	x := &exchange{at: mark.attempt, ctx: ctx, mail: m}
	err := s.transact(x, mark)
	if errors.Is(err, errOver) {
		return x.answer, nil
	}
	return notice.Answer{}, err
}

func (s *simSender) transact(x *exchange, p *permit) error {
	always := context.Background() // a transaction ends when the seed says so
	step := func(ctx context.Context, kind string) error {
		return s.world.park(&simCall{ctx: ctx, actor: s.actor, kind: kind, a: x.at.NoticeID<<32 + int64(x.at.Seq), b: x.at.Epoch, attempt: x})
	}
	if err := step(always, "envelope"); err != nil {
		return err
	}
	p.Ask()
	if err := step(always, "data"); err != nil {
		return err
	}
	if len(p.answer) > 0 && !inTime(p.until) {
		<-p.answer // Wait would choose by chance between an answer and the end of its time
	}
	if s.world.memory.mutant == dotBeforeMark {
		x.until = time.Now().Add(simGrace)
	} else if until, err := p.Wait(x.ctx); err == nil {
		x.until = until
		if s.world.memory.mutant == dotAfterDeadline {
			x.until = until.Add(time.Hour)
		}
	} else {
		x.answer = noDot("no leave to send: " + err.Error())
		return step(always, "end")
	}
	if err := step(always, "dot"); err != nil {
		return err
	}
	if x.pending {
		if err := step(always, "write"); err != nil {
			return err
		}
	}
	waiting, cancel := context.WithTimeout(always, 10*time.Minute)
	defer cancel()
	err := step(waiting, "answer")
	if errors.Is(err, context.DeadlineExceeded) {
		x.answer = notice.Answer{Outcome: notice.OutcomeUncertain, Text: "the relay did not answer in time"}
		return step(always, "end")
	}
	return err
}

func noDot(text string) notice.Answer {
	return notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Text: text}
}

// exchange takes one step of a transaction, and returns what its sender is told.
func (r *simRelay) exchange(kind string, x *exchange) error {
	w := r.world
	switch kind {
	case "envelope", "data":
		return r.before(kind, x)
	case "dot":
		return r.dot(x)
	case "write":
		x.pending = false
		if time.Since(x.last) >= simIdle {
			w.fault("relay: hung up on a late dot")
			x.answer = notice.Answer{Outcome: notice.OutcomeUncertain, Text: "the end of the message was not answered"}
			r.dots[x.at] = true
			return errOver
		}
		r.write(x)
		return nil
	case "answer":
		r.respond(x)
	}
	return errOver
}

// before is all that precedes the dot.
func (r *simRelay) before(kind string, x *exchange) error {
	w := r.world
	x.last = time.Now()
	if x.ctx.Err() != nil {
		x.answer = noDot("stopped")
		return errOver
	}
	if !w.oneIn(8) {
		return nil
	}
	stage := map[string][]string{"envelope": {"greeting", "MAIL", "RCPT"}, "data": {"DATA", "body"}}[kind]
	at := stage[w.rng.IntN(len(stage))]
	if at == "greeting" {
		w.fault("relay: closed before the greeting")
		return errNoRelay
	}
	switch w.rng.IntN(3) {
	case 0:
		w.fault("relay: closed after " + at)
		x.answer = r.lost()
	case 1:
		w.fault("relay: 4xx to " + at)
		x.answer = notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Code: 450}
	default:
		w.fault("relay: 5xx to " + at)
		r.never[x.at] = true
		x.answer = notice.Answer{Outcome: notice.OutcomeNever, NoDot: true, Code: 550}
	}
	return errOver
}

// dot checks whether the dot may be written, and as a rule writes it.
func (r *simRelay) dot(x *exchange) error {
	w := r.world
	switch {
	case x.ctx.Err() != nil:
		x.answer = noDot("stopped before the end of the message")
		return errOver
	case w.oneIn(16):
		w.fault("relay: closed before the dot")
		x.answer = r.lost()
		return errOver
	case !inTime(x.until):
		w.fault("the leave to send came too late")
		x.answer = noDot("the leave to send came too late")
		return errOver
	}
	w.checker.dotted(x.at, x.mailbox())
	if w.oneIn(12) {
		w.fault("paused between the check and the dot")
		x.pending = true
		return nil
	}
	r.write(x)
	return nil
}

// lost is what a connection that broke before a mail's dot says of that mail.
func (r *simRelay) lost() notice.Answer {
	if r.world.memory.mutant == ringAnsweredAsOne && len(r.buffer) > 0 {
		return notice.Answer{Outcome: notice.OutcomeUncertain, Text: "the relay closed the connection"}
	}
	return noDot("the relay closed the connection")
}

func (r *simRelay) write(x *exchange) {
	if r.dots[x.at] {
		r.fail("a second dot for %v", x.at)
	}
	r.dots[x.at] = true
	r.possible[x.mailbox()]++
	r.buffer = append(r.buffer, x)
}

// readable returns the dots that the relay may still take.
func (r *simRelay) readable() []*exchange {
	r.buffer = slices.DeleteFunc(r.buffer, func(x *exchange) bool { return time.Since(x.last) >= simGate })
	return r.buffer
}

// take has the relay take a mail whose dot arrived, and reports whether it did.
func (r *simRelay) take(x *exchange) bool {
	if x.taken {
		return true
	}
	if !slices.Contains(r.readable(), x) {
		return false
	}
	r.drop(x)
	x.taken = true
	to := x.mailbox()
	r.copies[to]++
	r.world.checker.delivered(to, x)
	return true
}

func (r *simRelay) drop(x *exchange) {
	r.buffer = slices.DeleteFunc(r.buffer, func(y *exchange) bool { return x == y })
}

// respond answers the dot, or never will.
func (r *simRelay) respond(x *exchange) {
	w := r.world
	fault := 0
	if !w.calm {
		fault = max(0, w.rng.IntN(22)-11)
	}
	x.answer = notice.Answer{Outcome: notice.OutcomeUncertain, Text: "the relay closed the connection"}
	switch {
	case fault == 1 && !x.taken:
		w.fault("relay: 4xx to the dot")
		r.drop(x)
		r.possible[x.mailbox()]--
		x.answer = notice.Answer{Outcome: notice.OutcomeLater, Code: 451}
	case fault == 2 && !x.taken:
		w.fault("relay: 5xx to the dot")
		r.drop(x)
		r.possible[x.mailbox()]--
		r.never[x.at] = true
		x.answer = notice.Answer{Outcome: notice.OutcomeNever, Code: 554}
	case fault == 3 || fault == 4:
		w.fault("relay: took it and closed without an answer")
		r.take(x)
	case fault == 5 || fault == 6:
		w.fault("relay: closed at the dot, before taking it")
		r.drop(x)
	case fault > 6:
		w.fault("relay: closed at the dot, and may take it yet")
	case r.take(x):
		r.said[x.mailbox()] = true
		x.answer = notice.Answer{Outcome: notice.OutcomeSent, Code: 250}
	}
}
