package send

import (
	"errors"
	"os"
	"time"

	"tocsin/internal/notice"
)

const (
	// A message up to this size, in bytes, goes out in one write with its dot. A larger one goes before the mark is
	// waited for: the time that a mark lasts is for the dot, and not for a slow line.
	maxTogether = 64 << 10
	// A leave that ends sooner than this is asked for anew.
	leastLeave = time.Second
	// How often that is done for one job.
	maxAgain = 2
)

// carry takes jobs from the pool until there are none, or the connection is of no more use. One job is at the dot at a
// time. Where the relay allows it (RFC 2920), the envelope of the next goes out with the dot, in one write.
func (c *conn) carry(p *Pool) {
	for !c.broken && !c.surplus {
		if t := c.ready; t != nil {
			c.ready = nil
			if p.bars(c.relay) {
				c.broken = true // it waits for a message that has gone another way
				p.requeue(t)
				return
			}
			c.message(p, t)
		} else if t := p.take(c); t != nil {
			c.envelope(p, t)
		} else {
			return
		}
	}
}

// envelope takes t as far as the relay's leave to send its message, or ends it.
func (c *conn) envelope(p *Pool, t *task) {
	if !c.quiet() {
		a := c.outOfTurn()
		if c.used && (a.Code == 0 || a.Code == 421) {
			p.requeue(t) // the relay gave the idle connection up
		} else {
			c.end(p, t, a)
		}
		return
	}
	p.waits(c, t)
	commands := []command{cmdMAIL, cmdRCPT, cmdDATA}
	if c.dirty {
		commands = []command{cmdRSET, cmdMAIL, cmdRCPT, cmdDATA}
	}
	together := 1
	if c.pipelining {
		together = len(commands)
	}
	var b burst
	var err error
	for err == nil && b.misfit == "" && b.refused.code == 0 && len(commands) > 0 {
		c.out = c.out[:0]
		for _, cmd := range commands[:together] {
			c.out = c.appendCommand(c.out, cmd, &t.mail)
		}
		b.expect(commands[:together]...)
		commands = commands[together:]
		if err = c.write(c.out); err == nil {
			err = c.hear(p, &b)
		}
	}
	c.enveloped(p, t, &b, err)
}

// enveloped acts on the relay's replies to the envelope of t.
func (c *conn) enveloped(p *Pool, t *task, b *burst, err error) {
	c.dirty = false
	switch {
	case err != nil && c.stopped():
		c.breakOff(p, t)
	case b.misfit != "":
		c.broken = true
		c.end(p, t, noDot(b.misfit))
	case b.refused.code != 0:
		c.broken = c.broken || err != nil || b.refused.code == 421 || b.refuser == cmdRSET
		switch {
		case judge(b.refuser, b.refused) == afresh && (b.refuser == cmdRSET || c.used || c.answered) && t.moves < maxMoves:
			t.moves++
			p.requeue(t) // that was about the connection
		case b.refused.crowded() && !b.lone() && c.tooMany(p, t):
		case b.lone():
			c.loneDot(p, t, b)
		default:
			c.dirty = b.refuser != cmdMAIL
			c.refuse(p, t, b.refuser, b.refused)
		}
	case err != nil:
		c.broken = true
		if c.used && b.heard == 0 || c.answered {
			p.requeue(t)
		} else {
			c.end(p, t, noDot(explain(err)))
		}
	case !b.accepted():
		c.broken = true
		c.end(p, t, noDot("the relay did not take the envelope"))
	default:
		c.ready = t
	}
}

// refuse ends a job that the relay refused, or gives it to the next relay.
func (c *conn) refuse(p *Pool, t *task, cmd command, r reply) {
	a := r.refusal(cmd)
	m := judge(cmd, r)
	if cmd == cmdDot && r.code == 421 && c.used {
		a.OfRelay = true // that was about the connection, which has carried mail: at once again
	}
	if m == ofRelay || m == elsewhere {
		moved := p.refused(c, t, m, a)
		if moved && a.NoDot {
			return
		}
		if moved {
			a.Outcome, a.OfRelay = notice.OutcomeLater, true // the next attempt goes there
		}
	}
	c.end(p, t, a)
}

// loneDot ends the message for nobody that a relay asks for though it refused the recipient (RFC 2920 §3.1). A relay
// that takes it means something else by its replies.
func (c *conn) loneDot(p *Pool, t *task, b *burst) {
	var end burst
	end.expect(cmdDot)
	err := c.write([]byte(".\r\n"))
	if err == nil {
		err = c.hear(p, &end)
	}
	if err != nil || end.misfit != "" || end.answer.code < 400 {
		c.broken = true
		if end.answer.code != 0 || end.misfit != "" {
			c.end(p, t, notice.Answer{Outcome: notice.OutcomeUncertain, Text: printable("the relay refused the recipient and took the message: " + end.answer.text)})
			return
		}
	}
	c.refuse(p, t, b.refuser, b.refused)
}

// message sends the message of t, its dot, and with that the envelope of the next job.
func (c *conn) message(p *Pool, t *task) {
	body := t.body
	if len(body) > maxTogether {
		if err := c.write(body); err != nil && c.stopped() {
			c.breakOff(p, t)
			return
		} else if err != nil {
			c.broken = true
			c.end(p, t, noDot("the message could not be written: "+explain(err)))
			return
		}
		body = nil
	}
	p.waitsNoMore(c)
	until, err := leave(p, t)
	if err != nil {
		c.broken, c.ours = true, true
		c.end(p, t, noDot("no leave to send: "+err.Error()))
		return
	}
	var b burst
	out := false // the dot, with the next envelope
	next := c.overlap(p)
	if next != nil {
		defer func() {
			well := b.answer.code != 0 && b.misfit == ""
			p.overlapped(c.relay, well, out && !well && !c.stopped())
		}()
	}
	if !c.quiet() {
		a := c.outOfTurn()
		c.putBack(p)
		c.end(p, t, a)
		return
	}
	b.expect(cmdDot)
	c.out = append(c.out[:0], body...)
	c.out = c.appendCommand(c.out, cmdDot, nil)
	dotted := len(c.out)
	if next != nil {
		b.expect(cmdMAIL, cmdRCPT, cmdDATA)
		for _, cmd := range []command{cmdMAIL, cmdRCPT, cmdDATA} {
			c.out = c.appendCommand(c.out, cmd, &next.mail)
		}
	}
	p.waits(c, t)
	t.dotted = true
	if a, ok := c.dot(until, dotted); !ok {
		t.dotted = !a.NoDot
		c.putBack(p)
		c.end(p, t, a)
		return
	}
	began := time.Now()
	out = true
	err = c.hear(p, &b)
	c.swift = time.Since(began) < p.o.patience/2
	c.broken = c.broken || err != nil || b.misfit != "" || b.answer.code == 421
	next = c.detach()
	c.answered = b.answer.code != 0 && b.misfit == ""
	if c.answered && b.answer.code >= 400 {
		c.refuse(p, t, cmdDot, b.answer)
	} else {
		c.end(p, t, b.verdict(err))
	}
	switch {
	case next == nil:
		c.broken = c.broken || b.n > 1 // the relay waits for a message that has gone another way
	case b.misfit != "" || b.answer.code == 421 || b.answer.code == 0:
		if next.moves++; next.moves > maxMoves {
			c.end(p, next, noDot(b.verdict(err).Text))
		} else {
			p.requeue(next)
		}
	default:
		c.enveloped(p, next, &b, err)
	}
	c.answered = false
}

// leave waits for the leave to write the dot of t, and asks anew where it came so late that there is no time left.
func leave(p *Pool, t *task) (until time.Time, err error) {
	for again := 0; ; again++ {
		until, err = t.Wait(p.life)
		if err != nil || again == maxAgain || !reached(time.Now().Add(leastLeave), until) {
			return until, err
		}
		t.Ask()
	}
}

// overlap takes the next job: its envelope goes out with the dot. It takes none where the relay was slow with the last
// answer. A mail behind a slow answer goes sooner on another connection.
func (c *conn) overlap(p *Pool) *task {
	if !c.pipelining || !c.swift || c.apart || !p.mayOverlap(c.relay) {
		return nil
	}
	next := p.poll(c)
	if next == nil {
		p.overlapped(c.relay, false, false)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = next
	return next
}

// putBack lets another connection have the next job. Its envelope went, or was to go, out with the dot.
func (c *conn) putBack(p *Pool) {
	if next := c.detach(); next != nil {
		p.requeue(next)
	}
}

// dot writes c.out, if that may still be done. The first dotted bytes of it end a message. Where the dot was not, or
// perhaps not, written, it returns false and the answer that follows from it.
func (c *conn) dot(until time.Time, dotted int) (notice.Answer, bool) {
	if err := c.beginDot(until); err != nil {
		c.broken = true
		return noDot(err.Error()), false
	}
	if reached(time.Now(), until) {
		c.broken = true
		return noDot("the leave to send came too late"), false
	}
	n, err := c.put(c.out)
	if err == nil || !c.secure && n >= dotted {
		c.broken = err != nil // and the answer to the dot may come all the same
		return notice.Answer{}, true
	}
	c.broken = true
	text := "the end of the message could not be written: " + explain(err)
	// On plain TCP the kernel did not take the bytes that were not counted; TLS keeps no such account.
	if !c.secure {
		return noDot(text), false
	}
	return notice.Answer{Outcome: notice.OutcomeUncertain, Text: printable(text)}, false
}

// hear reads the replies of a burst. An error means that the rest of them won't come.
func (c *conn) hear(p *Pool, b *burst) error {
	for !b.done() && b.misfit == "" {
		if err := c.await(p, b); err != nil {
			return err
		}
		r, err := readReply(c.text.R)
		switch {
		case errors.Is(err, errMalformed):
			b.misfit = err.Error()
		case err != nil:
			return err
		default:
			b.take(r)
		}
		if b.answer.code == 421 && b.misfit == "" { // it counts only if nothing follows
			c.raw.SetReadDeadline(time.Now().Add(c.o.lingers()))
			if _, err := c.text.R.Peek(1); err != nil {
				return err
			}
			b.misfit = "the relay said more after 421: " + r.text
		}
	}
	if c.text.R.Buffered() > 0 && b.misfit == "" {
		b.misfit = "the relay said more than one answer holds"
	}
	return nil
}

// await waits for the first byte of the next reply, as long as it may take. A job does not wait long for the answer to
// a dot with which its envelope went out: another connection takes it.
func (c *conn) await(p *Pool, b *burst) error {
	if c.text.R.Buffered() > 0 {
		return nil
	}
	limit := c.o.StepTimeout
	if b.commands[0] == cmdDot && b.heard == 0 {
		limit = c.o.AnswerTimeout
	}
	if c.holdsNext() {
		c.raw.SetReadDeadline(time.Now().Add(p.o.patience))
		if _, err := c.text.R.Peek(1); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		c.putBack(p)
	}
	return c.allow(limit)
}

// end gives a job its answer, and the pool the news of the relay that are in it.
func (c *conn) end(p *Pool, t *task, a notice.Answer) {
	a.Relay = c.relay.Name
	stopped := c.leaveDot()
	c.used = c.used || !c.broken
	p.account(c, t, c.broken && !c.ours && !stopped && (a.Code == 0 || a.Code == 421), a)
	t.Done(a, nil)
}

// noDot is the answer of an attempt that failed before the dot.
func noDot(text string) notice.Answer {
	return notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Text: printable(text)}
}

// outOfTurn is the answer when the relay spoke or hung up before the next command or the dot was written.
func (c *conn) outOfTurn() notice.Answer {
	c.broken = true
	c.raw.SetReadDeadline(time.Now().Add(c.o.lingers()))
	r, err := readReply(c.text.R)
	if err != nil {
		return noDot(explain(err))
	}
	a := r.answer(cmdDATA, notice.OutcomeLater)
	a.Command = ""
	return a
}

// reached reports whether until has come, by the monotonic clock or the wall clock. The former stands still while the
// machine is suspended.
func reached(now, until time.Time) bool {
	return !now.Before(until) || !now.Round(0).Before(until.Round(0))
}
