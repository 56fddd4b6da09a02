package send

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"tocsin/internal/notice"
)

// send takes m through one transaction. Afterwards c can be used again unless it is broken. It was stale if the relay
// had hung up on it while it was idle: nothing was tried and the permit was not asked, so that another one will do.
func (c *conn) send(ctx context.Context, m notice.Mail, permit notice.Permit) (a notice.Answer, stale bool) {
	body, err := stuff(m.Raw)
	if err == nil {
		err = c.carries(m)
	}
	if err != nil {
		return notice.Answer{Outcome: notice.OutcomeNever, NoDot: true, Text: err.Error()}, false
	}
	stop := context.AfterFunc(ctx, func() { c.raw.SetDeadline(past) })
	defer stop()

	if a := c.step(ctx, "MAIL FROM:<"+m.From+">"+c.parameters(m), 2); a != nil {
		return *a, c.used && c.broken && ctx.Err() == nil && (a.Code == 0 || a.Code == 421)
	}
	if a := c.step(ctx, "RCPT TO:<"+m.To+">", 2); a != nil {
		c.reset(ctx)
		return *a, false
	}
	permit.Ask()
	if a := c.step(ctx, "DATA", 354); a != nil {
		c.reset(ctx)
		return *a, false
	}
	if err := c.write(ctx, body); err != nil {
		return c.noDot("the message could not be written: " + explain(err)), false
	}
	until, err := permit.Wait(ctx)
	if err != nil {
		c.ours = true
		return c.noDot("no leave to send: " + printable(err.Error())), false
	}
	if !stop() {
		return c.noDot("stopped before the end of the message"), false
	}
	return c.dot(until), false
}

// dot writes the end of the message, if that may still be done, and waits for the answer.
func (c *conn) dot(until time.Time) notice.Answer {
	if !c.quiet() {
		return c.outOfTurn()
	}
	if err := c.raw.SetWriteDeadline(until); err != nil {
		return c.noDot(explain(err))
	}
	c.text.W.WriteString(".\r\n")
	if reached(time.Now(), until) {
		return c.noDot("the leave to send came too late")
	}
	if err := c.text.W.Flush(); err != nil {
		c.broken = true
		text := "the end of the message could not be written: " + explain(err)
		// On plain TCP what is left in the buffer is what the kernel did not take; TLS keeps no such account.
		if !c.secure && c.text.W.Buffered() > 0 {
			return notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Text: text}
		}
		return notice.Answer{Outcome: notice.OutcomeUncertain, Text: text}
	}
	c.raw.SetDeadline(time.Now().Add(c.o.AnswerTimeout))
	return c.verdict()
}

// verdict reads the answer to the dot. Only a reply that fits settles anything.
func (c *conn) verdict() notice.Answer {
	r, err := readReply(c.text.R)
	if err != nil {
		return c.uncertain("the end of the message was not answered: " + explain(err))
	}
	if r.code == 421 {
		c.broken = true
		c.raw.SetReadDeadline(time.Now().Add(c.o.lingers()))
		if _, err := c.text.R.Peek(1); err == nil {
			return c.uncertain("the relay said more after 421: " + r.text)
		}
		return r.answer(notice.OutcomeLater, false)
	}
	switch {
	case c.text.R.Buffered() > 0:
		return c.uncertain("the relay said more than one answer holds: " + r.text)
	case r.code < 300:
		return r.answer(notice.OutcomeSent, false)
	case r.code >= 400:
		return r.answer(r.refusal(), false)
	}
	return c.uncertain("the relay answered the end of the message with an intermediate reply: " + r.text)
}

// reached reports whether until has come, by the monotonic clock or the wall clock: the former stands still while
// the machine is suspended.
func reached(now, until time.Time) bool {
	return !now.Before(until) || !now.Round(0).Before(until.Round(0))
}

// step gives one command and returns nil when the reply is the wanted one, a code or the first digit of one;
// otherwise what it comes to.
func (c *conn) step(ctx context.Context, command string, want int) *notice.Answer {
	if !c.quiet() {
		a := c.outOfTurn()
		return &a
	}
	r, err := c.exchange(ctx, command)
	var a notice.Answer
	switch {
	case err != nil:
		a = c.noDot(explain(err))
	case c.text.R.Buffered() > 0:
		a = c.noDot("the relay said more than one answer holds: " + r.text)
	case r.code == want || r.code/100 == want:
		return nil
	case r.code < 400:
		a = c.noDot("the relay's answer does not fit the command: " + r.text)
	default:
		c.broken = r.code == 421
		a = r.answer(r.refusal(), true)
	}
	return &a
}

func (c *conn) exchange(ctx context.Context, command string) (reply, error) {
	if err := c.write(ctx, []byte(command+"\r\n")); err != nil {
		return reply{}, err
	}
	r, err := readReply(c.text.R)
	if err != nil && ctx.Err() != nil { // its end, not the relay, stopped the read
		err = context.Cause(ctx)
	}
	return r, err
}

// write sends b and leaves the rest of the StepTimeout for the reply to it.
func (c *conn) write(ctx context.Context, b []byte) error {
	if err := c.raw.SetDeadline(time.Now().Add(c.o.StepTimeout)); err != nil {
		return err
	}
	if ctx.Err() != nil { // what its end did to the deadline has just been undone
		return context.Cause(ctx)
	}
	if _, err := c.text.W.Write(b); err != nil {
		return err
	}
	return c.text.W.Flush()
}

// reset makes the connection ready for another transaction after a refusal, or marks it broken.
func (c *conn) reset(ctx context.Context) {
	if c.broken {
		return
	}
	r, err := c.exchange(ctx, "RSET")
	c.broken = err != nil || r.code/100 != 2
}

// noDot is the answer when something went wrong before the dot and the connection is of no more use.
func (c *conn) noDot(text string) notice.Answer {
	c.broken = true
	return notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Text: printable(text)}
}

func (c *conn) uncertain(text string) notice.Answer {
	c.broken = true
	return notice.Answer{Outcome: notice.OutcomeUncertain, Text: printable(text)}
}

// outOfTurn is the answer when the relay spoke or hung up before the next command or the dot was written.
func (c *conn) outOfTurn() notice.Answer {
	c.broken = true
	c.raw.SetReadDeadline(time.Now().Add(c.o.lingers()))
	r, err := readReply(c.text.R)
	if err != nil {
		return c.noDot(explain(err))
	}
	return r.answer(notice.OutcomeLater, true)
}

// carries returns an error if the relay can't be asked to take m.
func (c *conn) carries(m notice.Mail) error {
	for _, address := range []string{m.From, m.To} {
		bare := !strings.Contains(address, `"`)
		if strings.ContainsFunc(address, unicode.IsControl) || bare && strings.ContainsAny(address, " <>") {
			return errors.New("the address holds characters that SMTP does not allow")
		}
	}
	if m.To == "" {
		return errors.New("there is no address to send to")
	}
	if !c.utf8 && !(ascii(m.From) && ascii(m.To)) {
		return errors.New("the relay does not offer SMTPUTF8, which the address needs")
	}
	return nil
}

// parameters are those of MAIL (RFC 6152, RFC 6531).
func (c *conn) parameters(m notice.Mail) (s string) {
	if c.eightBit && !ascii(m.Raw) {
		s += " BODY=8BITMIME"
	}
	if !(ascii(m.From) && ascii(m.To)) {
		s += " SMTPUTF8"
	}
	return s
}

func ascii[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// stuff returns the message as it goes over the wire before the final dot: lines that begin with a dot get a second
// one (RFC 5321 §4.5.2), and the last line has its end. A line end that is not CRLF is refused: relays disagree on
// what it means, and a dot between two of them can end the message for one and not for another.
func stuff(raw []byte) ([]byte, error) {
	ends := bytes.Count(raw, []byte("\r\n"))
	if ends != bytes.Count(raw, []byte("\n")) || ends != bytes.Count(raw, []byte("\r")) {
		return nil, errors.New("the message has a line end that is not CRLF")
	}
	dots := bytes.Count(raw, []byte("\n."))
	if bytes.HasPrefix(raw, []byte(".")) {
		dots++
	}
	ended := bytes.HasSuffix(raw, []byte("\r\n"))
	if dots == 0 && ended {
		return raw, nil
	}
	out := make([]byte, 0, len(raw)+dots+2)
	if bytes.HasPrefix(raw, []byte(".")) {
		out = append(out, '.')
	}
	out = append(out, bytes.ReplaceAll(raw, []byte("\n."), []byte("\n.."))...)
	if !ended {
		out = append(out, "\r\n"...)
	}
	return out, nil
}
