package send

import (
	"fmt"

	"tocsin/internal/notice"
)

// command is a command that gets a reply.
type command uint8

const (
	cmdRSET command = iota
	cmdMAIL
	cmdRCPT
	cmdDATA
	cmdDot
)

func (c command) String() string {
	return [...]string{"RSET", "MAIL", "RCPT", "DATA", "the end of the message"}[c]
}

// burst matches a relay's replies with the commands that went out together (RFC 2920). These are the end of one
// message, if there is one, and the envelope of the next. It does no I/O and knows no time.
//
// Replies are matched, not counted. One reply too many or too few moves all that follow by one place, and a 250 to MAIL
// must not pass for one to the dot. So the answer to the dot counts only if all replies of its burst fit their
// commands, or if the relay said nothing after it.
type burst struct {
	commands [5]command
	n, heard int // commands given, and replies to them

	answer  reply   // to the dot
	refused reply   // the first refusal in the envelope; code 0: none
	refuser command // the command that it refused
	granted bool    // 354
	misfit  string  // why the replies don't fit; "" = they do
}

// expect notes that commands were given.
func (b *burst) expect(commands ...command) {
	b.n += copy(b.commands[b.n:], commands)
}

// done reports whether each command has its reply.
func (b *burst) done() bool { return b.heard == b.n }

// take matches the next reply.
func (b *burst) take(r reply) {
	switch {
	case b.misfit != "":
		return
	case b.done():
		b.misfit = "the relay said more than one answer holds: " + r.text
		return
	case b.answer.code == 421:
		b.misfit = "the relay said more after 421: " + r.text
		return
	}
	c := b.commands[b.heard]
	b.heard++
	switch {
	case !b.fits(c, r):
		b.misfit = fmt.Sprintf("the relay's answer to %s does not fit: %d %s", c, r.code, r.text)
	case c == cmdDot:
		b.answer = r
	case r.code >= 400 && b.refused.code == 0:
		b.refused, b.refuser = r, c
	case c == cmdDATA:
		b.granted = r.code == 354
	}
}

// fits reports whether r can be the reply to c, after the replies before it.
func (b *burst) fits(c command, r reply) bool {
	success := r.code/100 == 2
	refusal := r.code >= 400
	switch {
	case c == cmdDot || c == cmdRSET || c == cmdMAIL:
		return success || refusal
	case b.refused.code != 0 && b.refuser == cmdRSET:
		return success || refusal || r.code == 354 // whatever state it is in, the connection is closed
	case c == cmdRCPT:
		return refusal || success && b.refused.code == 0
	case b.refused.code == 0 || b.refuser == cmdRCPT: // DATA; RFC 2920 §3.1 has 354 after a refused RCPT
		return refusal || r.code == 354
	}
	return refusal
}

// verdict is the answer to the dot. Where the burst is not done the relay said nothing more, because of err.
func (b *burst) verdict(err error) notice.Answer {
	text := b.misfit
	switch r := b.answer; {
	case text != "":
	case r.code == 0:
		text = "the end of the message was not answered: " + explain(err)
	case r.code < 300:
		return r.answer(cmdDot, notice.OutcomeSent)
	default:
		return r.refusal(cmdDot)
	}
	return notice.Answer{Outcome: notice.OutcomeUncertain, Text: printable(text)}
}

// accepted reports whether the relay waits for the message of the envelope.
func (b *burst) accepted() bool {
	return b.done() && b.misfit == "" && b.granted && b.refused.code == 0
}

// lone reports whether the relay waits for a message for nobody.
func (b *burst) lone() bool {
	return b.done() && b.misfit == "" && b.granted && b.refused.code != 0
}
