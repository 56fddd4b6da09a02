package send

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// TestWhatEachReplyMeans goes through the table of meanings, row by row.
func TestWhatEachReplyMeans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		say                     string
		mail, rcpt, data, atDot meaning
	}{
		{"421 4.3.2 going down", afresh, afresh, afresh, deferred},
		{"421 too many messages on this connection", afresh, afresh, afresh, deferred},
		{"450 4.2.1 greylisted", deferred, deferred, deferred, deferred},
		{"451 4.7.1 later", deferred, deferred, deferred, deferred},
		{"452 too many recipients", deferred, deferred, deferred, deferred},
		{"454 4.7.1 Relay access denied", deferred, deferred, deferred, deferred},
		{"550 4.2.1 full for now", deferred, deferred, deferred, deferred},
		{"450 5.1.1 nobody", ofRelay, refused, ofRelay, refused},
		{"550 5.1.1 <ada@example.org>: no such user", ofRelay, refused, ofRelay, refused},
		{"550 5.1.6 moved", ofRelay, refused, ofRelay, refused},
		{"552 5.2.2 over quota", ofRelay, refused, ofRelay, refused},
		{"550 5.2.1 mailbox limit of messages is reached", ofRelay, refused, ofRelay, refused},
		{"550 no such user", ofRelay, refused, ofRelay, refused},
		{"551 user not local", ofRelay, refused, ofRelay, refused},
		{"553 mailbox name not allowed", ofRelay, refused, ofRelay, refused},
		{"554 5.6.0 no", elsewhere, refused, elsewhere, refused},
		{"552 5.2.3 Message size exceeds administrative limit", elsewhere, refused, elsewhere, refused},
		{"552 Message size exceeds maximum permitted", elsewhere, refused, elsewhere, refused},
		{"550 Unrouteable address", ofRelay, refused, ofRelay, refused},
		{"552 5.3.4 message size exceeds 10 MB", elsewhere, refused, elsewhere, refused},
		{"552 message too large", elsewhere, refused, elsewhere, refused},
		{"552 exceeded storage allocation", ofRelay, refused, ofRelay, refused},
		{"554 5.3.2 no service", ofRelay, refused, ofRelay, refused},
		{"554 5.7.1 <ada@example.org>: Relay access denied", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 5.7.1 spam", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 5.7.26 unauthenticated mail", ofRelay, elsewhere, ofRelay, elsewhere},
		{"503 5.5.1 AUTH first", ofRelay, elsewhere, ofRelay, elsewhere},
		{"554 5.5.1 error", ofRelay, elsewhere, ofRelay, elsewhere},
		{"504 <client>: Helo command rejected", ofRelay, elsewhere, ofRelay, elsewhere},
		{"504 5.5.2 <client>: need a full name", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 relay not permitted", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 Relaying denied", ofRelay, elsewhere, ofRelay, elsewhere},
		{"554 5.1.2 we do not relay", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 unable to relay for ada@example.org", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 5.1.8 Sender address rejected: Domain not found", ofRelay, elsewhere, ofRelay, elsewhere},
		{"553 sender address rejected: not owned by user", ofRelay, elsewhere, ofRelay, elsewhere},
		{"554 Client host rejected", ofRelay, elsewhere, ofRelay, elsewhere},
		{"554 blocked using zen.example.org", ofRelay, elsewhere, ofRelay, elsewhere},
		{"554 you have exceeded your daily quota", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 message limit of your plan exceeded", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 Domain example.net has exceeded the max emails per hour (201/200 (100%)) allowed", ofRelay, elsewhere, ofRelay, elsewhere},
		{"550 Authentication is required", ofRelay, elsewhere, ofRelay, elsewhere},
		{"530 5.7.0 authenticate first", ofRelay, ofRelay, ofRelay, ofRelay},
		{"535 5.7.8 bad", ofRelay, ofRelay, ofRelay, ofRelay},
	} {
		r, err := readReply(bufio.NewReader(strings.NewReader(c.say + "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		got := [...]meaning{judge(cmdMAIL, r), judge(cmdRCPT, r), judge(cmdDATA, r), judge(cmdDot, r)}
		if want := [...]meaning{c.mail, c.rcpt, c.data, c.atDot}; got != want {
			t.Errorf("%s: to MAIL, RCPT, DATA, the dot %v, want %v", c.say, got, want)
		}
		if r.code != 421 && judge(cmdRSET, r) != afresh {
			t.Errorf("%s: to RSET %v", c.say, judge(cmdRSET, r))
		}
	}
}

// refusals are replies of a relay at each step, with the outcome of a mail where there is that relay alone, and whether it
// then rests.
var refusals = []struct {
	stage, say string
	alone      notice.Outcome // 0: nothing was tried
	owed       bool           // and says nothing of the recipient
	rests      bool
}{
	{atGreeting, "554 5.7.1 blocked", 0, true, true},
	{atEHLO, "550 no", 0, true, true},
	{atAUTH, "535 5.7.8 no", 0, true, true},
	{atMAIL, "553 5.7.1 not yours", notice.OutcomeLater, true, true},
	{atMAIL, "554 quota exceeded for today", notice.OutcomeLater, true, true},
	{atDATA, "554 no", notice.OutcomeLater, true, true},
	{atRCPT, "530 5.7.0 authenticate first", notice.OutcomeLater, true, true},
	{atRCPT, "554 5.7.1 Relay access denied", notice.OutcomeNever, false, false},
	{atRCPT, "504 5.5.2 Helo command rejected", notice.OutcomeNever, false, false},
	{atDot, "554 5.7.1 spam", notice.OutcomeNever, false, false},
	{atMAIL, "552 5.3.4 too large", notice.OutcomeNever, false, false},
	{atRCPT, "550 5.1.1 nobody", notice.OutcomeNever, false, false},
	{atDot, "550 5.2.2 full", notice.OutcomeNever, false, false},
}

// refusing is a relay that answers so at a stage, and logs in where that is the stage.
func refusing(t *testing.T, stage, say string) (*server, Relay) {
	s := newServer(t, map[string]act{stage: {say: say}})
	s.ehlo = append(s.ehlo, "AUTH PLAIN", "PIPELINING")
	s.start()
	r := s.relay()
	if stage == atAUTH {
		r.User, r.Password = "ada", "secret"
	}
	return s, r
}

func TestARefusalOfARelayAlone(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		t.Run(c.stage+" "+c.say, func(t *testing.T) {
			t.Parallel()
			_, r := refusing(t, c.stage, c.say)
			o := usual
			o.AcquireTimeout = 300 * time.Millisecond
			p := pool(t, o, r)
			a, err := p.Send(t.Context(), mail, &permit{})
			if (err != nil) != (c.alone == 0) || a.Outcome != c.alone || err == nil && a.OfRelay != c.owed {
				t.Errorf("got %+v, %v", a, err)
			}
			if got := p.Health()[0].State == "resting"; got != c.rests {
				t.Errorf("%+v, want it to rest: %v", p.Health(), c.rests)
			}
		})
	}
}

func TestARefusedMailGoesToTheNextRelayWhereThatMayHelp(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		t.Run(c.stage+" "+c.say, func(t *testing.T) {
			t.Parallel()
			first, r := refusing(t, c.stage, c.say)
			second := serve(t, nil).relay()
			second.Name = "second"
			p := pool(t, usual, r, second)
			leave := &permit{}
			a, err := p.Send(t.Context(), mail, leave)
			if err != nil || leave.asked.Load() > 1 {
				t.Fatalf("%v, asked %d times", err, leave.asked.Load())
			}
			suspected := c.owed || judge(map[string]command{atMAIL: cmdMAIL, atRCPT: cmdRCPT, atDATA: cmdDATA, atDot: cmdDot}[c.stage], replyOf(c.say)) == elsewhere
			switch {
			case !suspected:
				if a.Outcome != c.alone || a.Relay != "test" {
					t.Errorf("got %+v", a)
				}
			case c.stage == atDot: // one dot an attempt
				if a.Outcome != notice.OutcomeLater || !a.OfRelay || a.NoDot {
					t.Errorf("got %+v", a)
				}
			case a.Outcome != notice.OutcomeSent || a.Relay != "second":
				t.Errorf("got %+v", a)
			}
			if first.accepted.Load() > 0 {
				t.Error("the first relay took it")
			}
		})
	}
}

func replyOf(line string) reply {
	r, _ := readReply(bufio.NewReader(strings.NewReader(line + "\r\n")))
	return r
}

func TestAMailThatBothRelaysSuspectHasFailed(t *testing.T) {
	t.Parallel()
	_, first := refusing(t, atRCPT, "554 5.7.1 Relay access denied")
	_, second := refusing(t, atRCPT, "550 5.7.1 go away")
	third := serve(t, nil)
	second.Name = "second"
	p := pool(t, usual, first, second, third.relay())
	a, err := p.Send(t.Context(), mail, &permit{})
	if err != nil || a.Outcome != notice.OutcomeNever || a.Relay != "second" || a.Code != 550 {
		t.Errorf("got %+v, %v: it is tried once more", a, err)
	}
}

func TestAMailRefusedAtAnEarlierAttemptGoesElsewhere(t *testing.T) {
	t.Parallel()
	first, second := serve(t, nil).relay(), serve(t, nil).relay()
	second.Name = "second"
	p := pool(t, usual, first, second)
	j := &single{Permit: &permit{}, ctx: t.Context(), mail: mail, done: make(chan struct{})}
	p.Submit(shunning{j, "test"})
	<-j.done
	if j.err != nil || j.answer.Relay != "second" {
		t.Errorf("got %+v, %v", j.answer, j.err)
	}
}

type shunning struct {
	*single
	relay string
}

func (s shunning) Shuns() string { return s.relay }

// TestADoubtedRelayIsTriedWithOneMailAtATime: a relay that refuses MAIL gets one mail at a time, between ever longer
// rests; the next relay has all others. Once it takes one it serves again.
func TestADoubtedRelayIsTriedWithOneMailAtATime(t *testing.T) {
	t.Parallel()
	first, r := refusing(t, atMAIL, "553 5.7.1 not yours")
	second := serve(t, nil).relay()
	second.Name = "second"
	p := pool(t, usual, r, second)
	began := time.Now()
	for range 300 {
		mustSend(t, p)
	}
	first.mu.Lock()
	tried := len(first.said)
	first.mu.Unlock()
	// Rests double from 50 ms at least: so many fit into the time.
	most := 2
	for rest := 50 * time.Millisecond; rest < time.Since(began); rest *= 2 {
		most++
	}
	if tried > most {
		t.Errorf("the first relay was tried with %d mails within %s", tried, time.Since(began))
	}
	if h := p.Health(); h[0].State != "resting" || !strings.Contains(h[0].Error, "MAIL") || !strings.Contains(h[0].Error, "553") {
		t.Errorf("%+v", h)
	}
	if next := p.Next(); next != "second" {
		t.Errorf("the next mail counts against %s", next)
	}
	first.mu.Lock()
	first.script = nil
	first.mu.Unlock()
	for mustSend(t, p).Relay != "test" {
		if t.Context().Err() != nil {
			t.Fatal("the first relay never came back")
		}
	}
	if h := p.Health(); h[0].State != "up" {
		t.Errorf("%+v", h)
	}
}

func TestARelayThatRefusesSeveralInARowRests(t *testing.T) {
	t.Parallel()
	first, r := refusing(t, atRCPT, "554 5.7.1 Relay access denied")
	second := serve(t, nil).relay()
	second.Name = "second"
	p := pool(t, usual, r, second)
	for range lostInARow {
		mustSend(t, p)
	}
	if h := p.Health(); h[0].State != "resting" {
		t.Errorf("%+v", h)
	}
	if n := len(first.said); n != lostInARow {
		t.Errorf("it was tried with %d mails", n)
	}
}

func (m meaning) String() string {
	return fmt.Sprint([...]string{"goes on", "afresh", "deferred", "refused", "elsewhere", "of the relay"}[m])
}
