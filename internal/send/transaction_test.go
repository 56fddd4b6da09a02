package send

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatAnAttemptComesTo(t *testing.T) {
	t.Parallel()
	const (
		sent, later, never, uncertain = notice.OutcomeSent, notice.OutcomeLater, notice.OutcomeNever, notice.OutcomeUncertain
		noDot                         = true
		seen                          = true
	)
	hangUp, silent := act{hangUp: true}, act{silent: true}
	say := func(s string) act { return act{say: s} }
	for _, c := range []struct {
		name     string
		stage    string
		act      act
		outcome  notice.Outcome
		noDot    bool
		code     int
		enhanced string
		dotSeen  bool
		keeps    bool // the connection is used for the next mail
	}{
		{"accepted", "", act{}, sent, false, 250, "2.0.0", seen, true},
		{"accepted byte by byte", atDot, act{say: "250-2.0.0 one\r\n250 2.0.0 two", slowly: true}, sent, false, 250, "2.0.0", seen, true},
		{"accepted without a text", atDot, say("250"), sent, false, 250, "", seen, true},
		{"MAIL 4xx", atMAIL, say("451 4.3.0 busy"), later, noDot, 451, "4.3.0", false, true},
		{"MAIL 5xx", atMAIL, say("550 5.7.1 not from there"), later, noDot, 550, "5.7.1", false, false},
		{"MAIL wants AUTH", atMAIL, say("530 5.7.0 authenticate first"), later, noDot, 530, "5.7.0", false, false},
		{"MAIL says AUTH failed", atMAIL, say("535 5.7.8 bad"), later, noDot, 535, "5.7.8", false, false},
		{"MAIL 421", atMAIL, say("421 4.3.2 closing"), later, noDot, 421, "4.3.2", false, false},
		{"MAIL 354", atMAIL, say("354 what"), later, noDot, 0, "", false, false},
		{"MAIL answered twice", atMAIL, say("250 ok\r\n250 ok"), later, noDot, 0, "", false, false},
		{"hangs up at MAIL", atMAIL, hangUp, later, noDot, 0, "", false, false},
		{"RCPT 4xx", atRCPT, say("450 4.2.1 later"), later, noDot, 450, "4.2.1", false, true},
		{"RCPT 5xx", atRCPT, say("550 5.1.1 nobody"), never, noDot, 550, "5.1.1", false, true},
		{"RCPT 5xx, enhanced says later", atRCPT, say("550 4.2.1 full"), later, noDot, 550, "4.2.1", false, true},
		{"RCPT 4xx, enhanced says never", atRCPT, say("450 5.1.1 nobody"), never, noDot, 450, "5.1.1", false, true},
		{"RCPT 5xx, enhanced says success", atRCPT, say("550 2.1.5 odd"), never, noDot, 550, "", false, true},
		{"RCPT 421", atRCPT, say("421 closing"), later, noDot, 421, "", false, false},
		{"RCPT garbage", atRCPT, say("hello"), later, noDot, 0, "", false, false},
		{"hangs up at RCPT", atRCPT, hangUp, later, noDot, 0, "", false, false},
		{"silent at RCPT", atRCPT, silent, later, noDot, 0, "", false, false},
		{"DATA 4xx", atDATA, say("451 4.3.0 busy"), later, noDot, 451, "4.3.0", false, true},
		{"DATA 5xx", atDATA, say("554 5.6.0 no"), never, noDot, 554, "5.6.0", false, true},
		{"DATA 250", atDATA, say("250 ok"), later, noDot, 0, "", false, false},
		{"DATA 334", atDATA, say("334 ok"), later, noDot, 0, "", false, false},
		{"DATA answered twice", atDATA, say("354 go on\r\n250 ok"), later, noDot, 0, "", false, false},
		{"hangs up at DATA", atDATA, hangUp, later, noDot, 0, "", false, false},
		{"silent at DATA", atDATA, silent, later, noDot, 0, "", false, false},
		{"dot 4xx", atDot, say("451 4.7.1 greylisted"), later, false, 451, "4.7.1", seen, true},
		{"dot 5xx", atDot, say("554 5.7.1 spam"), never, false, 554, "5.7.1", seen, true},
		{"dot 5xx, enhanced says later", atDot, say("552 4.2.2 full"), later, false, 552, "4.2.2", seen, true},
		{"dot 421 and nothing more", atDot, act{say: "421 4.3.2 closing", hangUp: true}, later, false, 421, "4.3.2", seen, false},
		{"dot 421 and no end", atDot, say("421 4.3.2 closing"), later, false, 421, "4.3.2", seen, false},
		{"dot 421 and more", atDot, say("421 4.3.2 closing\r\n250 ok"), uncertain, false, 0, "", seen, false},
		{"dot 250 and more", atDot, say("250 ok\r\n554 no"), uncertain, false, 0, "", seen, false},
		{"dot 354", atDot, say("354 more"), uncertain, false, 0, "", seen, false},
		{"dot garbage", atDot, say("thanks"), uncertain, false, 0, "", seen, false},
		{"dot 250 cut short", atDot, act{say: "250-almost", hangUp: true}, uncertain, false, 0, "", seen, false},
		{"dot lines of two codes", atDot, say("250-ok\r\n554 no"), uncertain, false, 0, "", seen, false},
		{"dot endless line", atDot, say("250 " + strings.Repeat("x", 5000)), uncertain, false, 0, "", seen, false},
		{"dot endless lines", atDot, say(strings.Repeat("250-x\r\n", 101) + "250 x"), uncertain, false, 0, "", seen, false},
		{"hangs up after the dot", atDot, hangUp, uncertain, false, 0, "", seen, false},
		{"silent after the dot", atDot, silent, uncertain, false, 0, "", seen, false},
		{"RSET refused", atRSET, say("500 what"), sent, false, 250, "2.0.0", seen, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			script := map[string]act{}
			if c.stage != "" {
				c.act.once = true
				script[c.stage] = c.act
			}
			s := serve(t, script)
			o := usual
			if c.act.silent || c.name == "dot 421 and no end" {
				o = hasty
			}
			p := pool(t, o, s.relay())
			a, err := p.Send(t.Context(), mail, &permit{})
			if err != nil {
				t.Fatal(err)
			}
			if a.Text == "" && c.name != "accepted without a text" {
				t.Error("the answer has no text")
			}
			a.Text, a.Command, a.OfRelay = "", "", false
			want := notice.Answer{Outcome: c.outcome, NoDot: c.noDot, Relay: "test", Code: c.code, Enhanced: c.enhanced}
			if d := cmp.Diff(want, a); d != "" {
				t.Error(d)
			}
			if got := s.dots.Load() > 0; got != c.dotSeen {
				t.Errorf("the server saw a dot: %v, want %v", got, c.dotSeen)
			}

			// The next mail goes well whatever became of this one, unless the script says otherwise.
			if a, err := p.Send(t.Context(), mail, &permit{}); err != nil || c.stage != atDATA && a.Outcome != sent {
				t.Errorf("next mail: %v %v", a, err)
			}
			if got := s.connections.Load() == 1; got != c.keeps {
				t.Errorf("the connection was kept: %v, want %v", got, c.keeps)
			}
		})
	}
}

func TestARefusedResetClosesTheConnectionAndNoMore(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]act{atRCPT: {say: "550 5.1.1 nobody", once: true}, atRSET: {say: "500 what"}})
	p := pool(t, usual, s.relay())
	if a, err := p.Send(t.Context(), mail, &permit{}); err != nil || a.Outcome != notice.OutcomeNever || a.Code != 550 {
		t.Errorf("got %v, %v", a, err)
	}
	if a, err := p.Send(t.Context(), mail, &permit{}); err != nil || a.Outcome != notice.OutcomeSent {
		t.Errorf("got %v, %v", a, err)
	}
	if n := s.connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// bundle is a mail under way that somebody interferes with.
type bundle struct {
	permit *permit
	script map[string]act
	cancel context.CancelFunc
}

// whileWaiting makes the server act after the message was read and before the permit is granted.
func (b *bundle) whileWaiting(a act) {
	acted := make(chan struct{})
	b.permit.called, b.permit.before = make(chan struct{}), acted
	a.after, a.then = b.permit.called, func() { close(acted) }
	b.script[inBody] = a
}

func TestTheDotWaitsForItsConditions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		setup func(b *bundle)
		code  int
		text  string
	}{
		{"the permit is refused", func(b *bundle) { b.permit.err = errRefused }, 0, "the lease is lost"},
		{"the permit has run out", func(b *bundle) { b.permit.within = -time.Nanosecond }, 0, "too late"},
		{"421 while waiting for the permit", func(b *bundle) { b.whileWaiting(act{say: "421 4.4.2 timeout"}) }, 421, "timeout"},
		{"550 while waiting for the permit", func(b *bundle) { b.whileWaiting(act{say: "550 5.3.4 too big"}) }, 550, "too big"},
		{"half a reply while waiting for the permit", func(b *bundle) { b.whileWaiting(act{say: "42\n"}) }, 0, "no SMTP reply"},
		{"250 while waiting for the permit", func(b *bundle) { b.whileWaiting(act{say: "250 ok"}) }, 250, "ok"},
		{"hung up while waiting for the permit", func(b *bundle) { b.whileWaiting(act{hangUp: true}) }, 0, "closed"},
		{"stopped while waiting for the permit", func(b *bundle) {
			b.whileWaiting(act{})
			b.permit.before = make(chan struct{})
			b.script[inBody] = act{after: b.permit.called, then: b.cancel}
		}, 0, "canceled"},
		{"stopped when the permit came", func(b *bundle) {
			granted := make(chan struct{})
			b.permit.before, b.permit.deaf = granted, true
			b.permit.called = make(chan struct{})
			b.script[inBody] = act{after: b.permit.called, then: func() { b.cancel(); close(granted) }}
		}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &bundle{permit: &permit{}, script: map[string]act{}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.cancel = cancel
			c.setup(b)
			s := serve(t, b.script)
			p := pool(t, usual, s.relay())
			a, err := p.Send(ctx, mail, b.permit)
			if err != nil {
				t.Fatal(err)
			}
			if a.Outcome != notice.OutcomeLater || !a.NoDot || a.Code != c.code || !strings.Contains(a.Text, c.text) {
				t.Errorf("got %+v", a)
			}
			s.stop()
			if s.dots.Load() > 0 {
				t.Error("a dot went out")
			}
		})
	}
}

// TestThePermitIsAskedForAheadAndOnce: a refusal after the mark is a definite no-dot, so the mark need not wait for the
// relay's word.
func TestThePermitIsAskedForAheadAndOnce(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{atMAIL, atRCPT, atDATA, atDot} {
		s := serve(t, map[string]act{stage: {say: "550 no"}})
		p, leave := pool(t, usual, s.relay()), &permit{}
		a, err := p.Send(t.Context(), mail, leave)
		if err != nil || a.Outcome == notice.OutcomeSent || a.Code != 550 || a.NoDot == (stage == atDot) {
			t.Errorf("refused at %s: %+v, %v", stage, a, err)
		}
		if got := leave.asked.Load(); got != 1 {
			t.Errorf("refused at %s: asked %d times", stage, got)
		}
	}
}

func TestNothingCutsTheWaitForTheAnswerShort(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	// By the time that the dot has been read, ctx ends; the answer comes in its own time.
	s := newServer(t, nil)
	s.script = map[string]act{atDot: {say: "250-wait", then: func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			c.Write([]byte("250 here it is\r\n"))
		}
	}}}
	s.start()
	a, err := pool(t, usual, s.relay()).Send(ctx, mail, &permit{})
	if err != nil || a.Outcome != notice.OutcomeSent || a.Text != "wait here it is" {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestTheEndOfContextStopsAStepBeforeTheDot(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, nil)
	s.script = map[string]act{atRCPT: {say: "250-wait", then: cancel}}
	s.start()
	a, err := pool(t, usual, s.relay()).Send(ctx, mail, &permit{})
	if err != nil || a.Outcome != notice.OutcomeLater || !a.NoDot {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestWhatGoesOverTheWire(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.ehlo = []string{"8BITMIME", "SMTPUTF8"}
	s.start()
	p := pool(t, usual, s.relay())
	for _, c := range []struct{ name, from, to, raw, command, body string }{
		{"plain", "a@b.example", "c@d.example", "X: y\r\n\r\nhi\r\n", "MAIL FROM:<a@b.example>", "X: y\r\n\r\nhi\r\n"},
		{"no reverse-path", "", "c@d.example", "X: y\r\n\r\nhi\r\n", "MAIL FROM:<>", "X: y\r\n\r\nhi\r\n"},
		{"dots", "", "c@d.example", ".\r\n..\r\nx.\r\n.", "MAIL FROM:<>", "..\r\n...\r\nx.\r\n..\r\n"},
		{"8 bits", "", "c@d.example", "X: y\r\n\r\nhé", "MAIL FROM:<> BODY=8BITMIME", "X: y\r\n\r\nhé\r\n"},
		{"address in UTF-8", "", "jürgen@d.example", "\r\n", "MAIL FROM:<> SMTPUTF8", "\r\n"},
	} {
		a, err := p.Send(t.Context(), notice.Mail{From: c.from, To: c.to, Raw: []byte(c.raw)}, &permit{})
		if err != nil || a.Outcome != notice.OutcomeSent {
			t.Errorf("%s: %+v %v", c.name, a, err)
		}
		if got := s.said[len(s.said)-1]; got != c.command {
			t.Errorf("%s: command %q, want %q", c.name, got, c.command)
		}
		if got := s.body.Load(); got != c.body {
			t.Errorf("%s: body %q, want %q", c.name, got, c.body)
		}
	}
}

func TestWhatCannotGoOverTheWire(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := pool(t, usual, s.relay())
	for name, m := range map[string]notice.Mail{
		"address in UTF-8":   {To: "jürgen@d.example", Raw: []byte("\r\n")},
		"sender in UTF-8":    {From: "jürgen@d.example", To: "c@d.example", Raw: []byte("\r\n")},
		"a line in address":  {To: "c@d.example>\r\nDATA", Raw: []byte("\r\n")},
		"brackets":           {To: "c@d.example> X", Raw: []byte("\r\n")},
		"no address":         {Raw: []byte("\r\n")},
		"bare LF":            {To: "c@d.example", Raw: []byte("x\n.\nMAIL\r\n")},
		"bare CR":            {To: "c@d.example", Raw: []byte("x\r.\r\n")},
		"bare ones that add": {To: "c@d.example", Raw: []byte("x\n\r.\r\n")},
	} {
		leave := &permit{}
		a, err := p.Send(t.Context(), m, leave)
		if err != nil || a.Outcome != notice.OutcomeNever || !a.NoDot || a.Text == "" {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	if s.dots.Load() != 0 {
		t.Error("a dot went out")
	}
}

func TestBothClocksEndAPermit(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		name  string
		until time.Time
		want  bool
	}{
		{"both ahead", now.Add(time.Second), false},
		{"exactly now", now, true},
		{"wall clock alone, ahead", now.Add(time.Second).Round(0), false},
		{"wall clock alone, behind", now.Add(-time.Second).Round(0), true},
	} {
		if got := reached(now, c.until); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestSentAndNoDotAreNeverClaimedWrongly: this must hold whatever fails, wherever, and whatever a relay says before its
// turn.
func TestSentAndNoDotAreNeverClaimedWrongly(t *testing.T) {
	t.Parallel()
	o := usual
	o.AcquireTimeout, o.StepTimeout, o.AnswerTimeout = 30*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	rapid.Check(t, func(rt *rapid.T) {
		script := map[string]act{}
		for _, stage := range []string{atGreeting, atEHLO, atMAIL, atRCPT, atDATA, inBody, atDot, atRSET} {
			if rapid.IntRange(0, 3).Draw(rt, stage+" goes wrong") > 0 {
				continue
			}
			say := rapid.SampledFrom([]string{"", "250 ok", "250-ok\r\n250 ok", "250 ok\r\n250 ok", "354 go", "421 bye",
				"421 bye\r\n250 ok", "450 4.2.1 no", "550 5.1.1 no", "550 4.1.1 no", "25", "250-", "nonsense", "\r\n"})
			script[stage] = act{
				say:    say.Draw(rt, stage+" says"),
				hangUp: rapid.Bool().Draw(rt, stage+" hangs up"),
				slowly: rapid.Bool().Draw(rt, stage+" is slow"),
			}
		}
		b := &bundle{permit: &permit{}, script: script}
		if a, scripted := script[inBody]; scripted {
			// A reply at the very instant of the dot cannot be told from an answer to it.
			b.whileWaiting(a)
		}
		leave := b.permit
		switch rapid.IntRange(0, 5).Draw(rt, "permit") {
		case 0:
			leave.err = errRefused
		case 1:
			leave.within = -time.Second
		case 2:
			leave.within = time.Microsecond
		}
		s := newServer(t, script)
		s.start()
		p := New([]Relay{s.relay()}, o)
		// A server that is out of step may never come to the event that the permit waits for.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		a, err := p.Send(ctx, mail, leave)
		cancel()
		p.Close()
		s.stop()
		switch {
		case err != nil:
			if !errors.Is(err, ErrNoRelay) || s.dots.Load() > 0 || leave.asked.Load() > 0 {
				rt.Fatalf("%v, though something was tried", err)
			}
		case a.Outcome == notice.OutcomeSent && s.accepted.Load() != 1:
			rt.Fatalf("%+v, and the server accepted %d", a, s.accepted.Load())
		case a.NoDot && s.dots.Load() > 0:
			rt.Fatalf("%+v, and the server saw a dot", a)
		case a.Outcome == notice.OutcomeUncertain && a.NoDot:
			rt.Fatalf("%+v is a contradiction", a)
		case leave.err != nil && !a.NoDot || leave.asked.Load() > 1+maxAgain:
			rt.Fatalf("%+v, asked %d times, permit %v", a, leave.asked.Load(), leave.err)
		}
	})
}
