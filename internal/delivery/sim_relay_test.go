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

// simRelay takes mails, or does not, and says so, or does not. A mailbox gets the mails that it has taken.
type simRelay struct {
	world  *world
	copies map[mailbox]int
	// possible counts the dots that a 250, or silence, may have accepted.
	possible map[mailbox]int
	said     map[mailbox]bool        // it answered 250, though perhaps to nobody
	dots     map[ledger.Attempt]bool // written
	never    map[ledger.Attempt]bool // answered 5xx
	took     []ledger.Attempt        // in their order
	buffer   []*exchange             // dots that arrived and were not read yet
	wrong    error                   // the first thing that may not happen here
}

// mailbox names a notice and an address, which the notice may reach once.
type mailbox struct{ notice, address string }

func (r *simRelay) has(n *noticeRow, key string) bool { return r.copies[mailbox{n.Key, key}] > 0 }

func (r *simRelay) fail(format string, args ...any) {
	if r.wrong == nil {
		r.wrong = fmt.Errorf(format, args...)
	}
}

// exchange is one SMTP transaction.
type exchange struct {
	sender    *simSender
	job       notice.Job
	next      *exchange // its envelope went out with the dot
	lost      bool      // the connection is
	relay     string
	elsewhere bool // it goes to a second relay, under the same mark
	at        ledger.Attempt
	ctx       context.Context
	mail      notice.Mail
	until     time.Time
	last      time.Time // of the last command: the relay hangs up when nothing follows it for simIdle
	pending   bool      // checked, and not yet written
	taken     bool
	answer    notice.Answer
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

func noDot(text string) notice.Answer {
	return notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Text: text}
}

// exchange takes one step of a transaction, and returns the error for its sender.
func (r *simRelay) exchange(kind string, x *exchange) error {
	w := r.world
	switch kind {
	case "envelope":
		return r.before(x)
	case "dot":
		return r.dot(x)
	case "write":
		x.pending = false
		if time.Since(x.last) >= simIdle {
			w.fault("relay: hung up on a late dot")
			x.answer, x.lost = notice.Answer{Outcome: notice.OutcomeUncertain, Text: "the end of the message was not answered"}, true
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

// before is all that precedes the message.
func (r *simRelay) before(x *exchange) error {
	w := r.world
	x.last = time.Now()
	if x.ctx.Err() != nil {
		x.answer = noDot("stopped")
		return errOver
	}
	if w.refusesEverybody() {
		w.fault("relay: refuses everybody")
		r.never[x.at] = true
		x.answer = notice.Answer{Outcome: notice.OutcomeNever, NoDot: true, Command: "RCPT", Code: 554, Text: "relay access denied"}
		return errOver
	}
	if w.relayRefuses(x.relay) {
		x.answer = r.denied(x)
		return errOver
	}
	if !w.oneIn(8) {
		return nil
	}
	stage := []string{"greeting", "MAIL", "RCPT", "DATA"}
	at := stage[w.rng.IntN(len(stage))]
	if at == "greeting" {
		w.fault("relay: closed before the greeting")
		return errNoRelay
	}
	switch w.rng.IntN(3) {
	case 0:
		w.fault("relay: closed after " + at)
		x.answer = noDot("the relay closed the connection")
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
		x.answer = noDot("the relay closed the connection")
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

func (r *simRelay) write(x *exchange) {
	if r.dots[x.at] && !r.world.checker.restored { // a ledger that has forgotten may give an epoch again, in the same microsecond
		r.fail("a second dot for %v", x.at)
	}
	r.dots[x.at] = true
	r.possible[x.mailbox()]++
	r.buffer = append(r.buffer, x)
	if x.sender != nil && r.world.rng.IntN(4) > 0 {
		x.sender.overlap(x)
	}
}

// readable returns the dots that the relay may still take.
func (r *simRelay) readable() []*exchange {
	r.buffer = slices.DeleteFunc(r.buffer, func(x *exchange) bool { return time.Since(x.last) >= simGate })
	return r.buffer
}

// take has the relay take a mail after its dot arrived, and reports whether it did.
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
	r.took = append(r.took, x.at)
	r.world.checker.delivered(to, x)
	return true
}

func (r *simRelay) drop(x *exchange) {
	r.buffer = slices.DeleteFunc(r.buffer, func(y *exchange) bool { return x == y })
}

// respond answers the dot, or never will, and the envelope that came with it.
func (r *simRelay) respond(x *exchange) {
	w := r.world
	fault := 0
	if !w.calm {
		fault = max(0, w.rng.IntN(24)-10)
	}
	x.answer, x.lost = notice.Answer{Outcome: notice.OutcomeUncertain, Text: "the relay closed the connection"}, true
	switch {
	case fault == 1 && !x.taken:
		w.fault("relay: 4xx to the dot")
		r.drop(x)
		r.possible[x.mailbox()]--
		x.answer, x.lost = notice.Answer{Outcome: notice.OutcomeLater, Code: 451}, false
	case fault == 2 && !x.taken:
		w.fault("relay: 5xx to the dot")
		r.drop(x)
		r.possible[x.mailbox()]--
		r.never[x.at] = true
		x.answer, x.lost = notice.Answer{Outcome: notice.OutcomeNever, Code: 554}, false
	case fault == 3 || fault == 4:
		w.fault("relay: took it and closed without an answer")
		r.take(x)
	case fault == 5 || fault == 6:
		w.fault("relay: closed at the dot, before taking it")
		r.drop(x)
	case fault > 6 && fault < 10 && !x.taken && x.next != nil:
		w.fault("relay: a reply too many, before the 4xx to the dot")
		r.drop(x)
		r.possible[x.mailbox()]--
		if w.memory.mutant == repliesCounted {
			x.answer, x.lost = notice.Answer{Outcome: notice.OutcomeSent, Code: 250}, false
		}
	case fault > 6:
		w.fault("relay: closed at the dot, and may take it yet")
	case r.take(x):
		r.said[x.mailbox()] = true
		x.answer, x.lost = notice.Answer{Outcome: notice.OutcomeSent, Code: 250}, false
	}
	switch {
	case x.next == nil:
	case x.lost:
		w.fault("relay: closed behind another mail's envelope")
	default:
		w.fault("relay: an envelope came with a dot")
		r.envelope(x.next)
	}
}

// envelope answers an envelope that came with the dot before.
func (r *simRelay) envelope(x *exchange) {
	w := r.world
	x.last = time.Now()
	if !w.oneIn(8) {
		return
	}
	if w.rng.IntN(2) == 0 {
		w.fault("relay: 4xx to RCPT, behind another mail's dot")
		x.answer = notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Code: 450}
		return
	}
	w.fault("relay: 5xx to RCPT, behind another mail's dot")
	r.never[x.at] = true
	x.answer = notice.Answer{Outcome: notice.OutcomeNever, NoDot: true, Code: 550}
}
