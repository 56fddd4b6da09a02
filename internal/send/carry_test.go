package send

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// ring is a batch of jobs to one relay, with their answers.
type ring struct {
	mu      sync.Mutex
	answers map[string]notice.Answer
	errs    int
	left    sync.WaitGroup
	came    chan notice.Answer // each of them, as they come
	stuck   map[string]int     // how often a mail was said to be without an answer
}

// ringJob is one of them. Its permit is granted at once, unless refused or late say otherwise.
type ringJob struct {
	ring    *ring
	to      string
	raw     []byte
	refused bool
	within  time.Duration
	asked   int
}

func (j *ringJob) Ask()          { j.asked++ }
func (j *ringJob) Via() string   { return "" }
func (j *ringJob) Shuns() string { return "" }
func (j *ringJob) Refused() bool { return false }
func (j *ringJob) Wait(context.Context) (time.Time, error) {
	if j.refused {
		return time.Time{}, errRefused
	}
	return time.Now().Add(j.within), nil
}
func (j *ringJob) Mail() (notice.Mail, bool) {
	return notice.Mail{From: "status@example.net", To: j.to, Raw: j.raw}, true
}
func (j *ringJob) Unanswered() {
	j.ring.mu.Lock()
	defer j.ring.mu.Unlock()
	j.ring.stuck[j.to]++
}
func (j *ringJob) Done(a notice.Answer, err error) {
	j.ring.mu.Lock()
	if _, twice := j.ring.answers[j.to]; twice {
		panic("a job has ended twice")
	}
	j.ring.answers[j.to] = a
	if err != nil {
		j.ring.errs++
	}
	j.ring.mu.Unlock()
	j.ring.came <- a
	j.ring.left.Done()
}

// submit hands a pool so many jobs at once.
func submit(p *Pool, n int, shape func(i int, j *ringJob)) *ring {
	r := &ring{answers: map[string]notice.Answer{}, came: make(chan notice.Answer, n), stuck: map[string]int{}}
	r.left.Add(n)
	for i := range n {
		j := &ringJob{ring: r, to: fmt.Sprintf("m%d@example.org", i), raw: mail.Raw, within: time.Minute}
		if shape != nil {
			shape(i, j)
		}
		p.Submit(j)
	}
	return r
}

// pipelined is a server that offers PIPELINING, and takes one connection.
func pipelined(t *testing.T, script map[string]act) (*server, Relay) {
	t.Helper()
	s := newServer(t, script)
	s.ehlo = append(s.ehlo, "PIPELINING")
	r := s.relay()
	r.Connections = 1
	return s, r
}

func TestTheNextEnvelopeGoesWithTheDot(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t, time.Now().Add(time.Hour))
	for name, secure := range map[string]bool{"plain": false, "TLS and AUTH": true} {
		for _, bursts := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", bursts), func(t *testing.T) {
				t.Parallel()
				s, r := pipelined(t, nil)
				s.bursts = bursts && !secure
				if secure {
					s.tls, s.ehlo = config, append(s.ehlo, "STARTTLS", "AUTH PLAIN")
					r.TLS, r.RootCAs, r.User, r.Password = TLSRequired, roots, "ada", "secret"
				}
				s.start()
				all := submit(pool(t, usual, r), 50, nil)
				all.left.Wait()
				for to, a := range all.answers {
					if a.Outcome != notice.OutcomeSent || s.took[to] != 1 {
						t.Errorf("%s: %+v, taken %d times", to, a, s.took[to])
					}
				}
				if s.connections.Load() != 1 || s.together.Load() < 40 {
					t.Errorf("%d connections, %d envelopes with a dot", s.connections.Load(), s.together.Load())
				}
			})
		}
	}
}

func TestWithoutPIPELININGItIsOneCommandAtATime(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	s.start()
	all := submit(pool(t, usual, s.relay()), 20, nil)
	all.left.Wait()
	if s.accepted.Load()+s.together.Load() != 20 || s.together.Load() != 0 {
		t.Errorf("%d taken, %d envelopes with a dot", s.accepted.Load(), s.together.Load())
	}
}

// TestALostConnectionLeavesOneUncertain: a connection that is lost leaves one mail uncertain, that with the dot. All
// others go another way.
func TestALostConnectionLeavesOneUncertain(t *testing.T) {
	t.Parallel()
	s, r := pipelined(t, map[string]act{atDot: {hangUp: true, once: true}})
	s.start()
	all := submit(pool(t, usual, r), 10, nil)
	all.left.Wait()
	uncertain := 0
	for to, a := range all.answers {
		switch {
		case a.Outcome == notice.OutcomeUncertain:
			uncertain++
		case a.Outcome != notice.OutcomeSent:
			t.Errorf("%s: %+v", to, a)
		}
		if s.dotted[to] != 1 {
			t.Errorf("%d dots for %s", s.dotted[to], to)
		}
	}
	if uncertain != 1 {
		t.Errorf("%d are uncertain, want 1", uncertain)
	}
}

// TestARefusedMarkWaitsForTheAnswerBeforeIt: a mark that is refused behind an envelope ends that connection, once the
// mail before has its answer.
func TestARefusedMarkWaitsForTheAnswerBeforeIt(t *testing.T) {
	t.Parallel()
	s, r := pipelined(t, nil)
	s.start()
	all := submit(pool(t, usual, r), 9, func(i int, j *ringJob) { j.refused = i%3 == 1 })
	all.left.Wait()
	for i := range 9 {
		a := all.answers[fmt.Sprintf("m%d@example.org", i)]
		if i%3 == 1 && (!a.NoDot || a.Outcome != notice.OutcomeLater) || i%3 != 1 && a.Outcome != notice.OutcomeSent {
			t.Errorf("mail %d: %+v", i, a)
		}
	}
	if n := s.dots.Load(); n != 6 {
		t.Errorf("%d dots, want 6", n)
	}
}

// TestARefusedRecipientCostsNobodyElse: a refused recipient costs neither the mail before nor the one behind, whatever
// the relay makes of DATA then.
func TestARefusedRecipientCostsNobodyElse(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"DATA refused": "", "354 for nobody": "354 go on"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := pipelined(t, map[string]act{})
			s.refuses, s.forNobody = "m3@", data
			s.start()
			all := submit(pool(t, usual, r), 8, nil)
			all.left.Wait()
			for to, a := range all.answers {
				refused := strings.HasPrefix(to, "m3@")
				if refused != (a.Outcome == notice.OutcomeNever && a.NoDot && a.Code == 550) || !refused && a.Outcome != notice.OutcomeSent {
					t.Errorf("%s: %+v", to, a)
				}
			}
			if s.connections.Load() != 1 {
				t.Errorf("%d connections", s.connections.Load())
			}
		})
	}
}

// TestASlowAnswerHoldsUpNobody: a mail that is answered late holds up no other. The mail behind its dot goes to another
// connection.
func TestASlowAnswerHoldsUpNobody(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	s, r := pipelined(t, map[string]act{atDot: {say: "250 at last", after: answer, once: true}})
	r.Connections = 2
	s.start()
	o := usual
	o.patience = 50 * time.Millisecond
	p := pool(t, o, r)
	all := submit(p, 12, nil)
	for {
		all.mu.Lock()
		n := len(all.answers)
		all.mu.Unlock()
		if n == 11 {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the others wait")
		}
	}
	close(answer)
	all.left.Wait()
	for to, a := range all.answers {
		if a.Outcome != notice.OutcomeSent || s.dotted[to] != 1 {
			t.Errorf("%s: %+v, %d dots", to, a, s.dotted[to])
		}
	}
}

// TestALateLeaveIsAskedForAnew: a leave that came too late is asked for anew, as long as there was no dot.
func TestALateLeaveIsAskedForAnew(t *testing.T) {
	t.Parallel()
	s, r := pipelined(t, nil)
	s.start()
	var late *ringJob
	all := submit(pool(t, usual, r), 3, func(i int, j *ringJob) {
		if i == 1 {
			late, j.within = j, -time.Second
		}
	})
	all.left.Wait()
	if a := all.answers[late.to]; !a.NoDot || late.asked != 1+maxAgain || s.dotted[late.to] != 0 || s.dots.Load() != 2 {
		t.Errorf("%+v, asked %d times, %d dots", a, late.asked, s.dots.Load())
	}
}

func TestALargeMessageGoesBeforeItsMark(t *testing.T) {
	t.Parallel()
	s, r := pipelined(t, nil)
	s.start()
	large := append([]byte("Subject: x\r\n\r\n"), strings.Repeat(strings.Repeat("x", 70)+"\r\n", 3*maxTogether/72)...)
	all := submit(pool(t, usual, r), 6, func(i int, j *ringJob) {
		if i%2 == 0 {
			j.raw = large
		}
	})
	all.left.Wait()
	for to, a := range all.answers {
		if a.Outcome != notice.OutcomeSent {
			t.Errorf("%s: %+v", to, a)
		}
	}
}

// TestNoOverlappedMailIsClaimedWrongly: the answer of each mail must be true, whatever a relay says to commands that
// came together, and in whatever pieces.
func TestNoOverlappedMailIsClaimedWrongly(t *testing.T) {
	t.Parallel()
	o := usual
	o.AcquireTimeout, o.StepTimeout, o.AnswerTimeout, o.patience = 200*time.Millisecond, 30*time.Millisecond, 30*time.Millisecond, 10*time.Millisecond
	rapid.Check(t, func(rt *rapid.T) {
		script := map[string]act{}
		for _, stage := range []string{atMAIL, atRCPT, atDATA, atDot, atRSET} {
			if rapid.IntRange(0, 2).Draw(rt, stage+" goes wrong") > 0 {
				continue
			}
			say := rapid.SampledFrom([]string{"", "250 ok", "250-ok\r\n250 ok", "250 ok\r\n250 ok", "354 go", "421 bye",
				"421 bye\r\n250 ok", "450 4.2.1 no", "550 5.1.1 no", "250 ok\r\n250 ok\r\n250 ok\r\n354 go", "25", "250-", "nonsense", "\r\n"})
			script[stage] = act{
				say:    say.Draw(rt, stage+" says"),
				hangUp: rapid.Bool().Draw(rt, stage+" hangs up"),
				once:   rapid.Bool().Draw(rt, stage+" once"),
			}
		}
		s, r := pipelined(t, script)
		s.bursts = rapid.Bool().Draw(rt, "in bursts")
		r.Connections = rapid.IntRange(1, 2).Draw(rt, "connections")
		s.start()
		p := New([]Relay{r}, o)
		refused := rapid.IntRange(0, 11).Draw(rt, "a mark is refused")
		all := submit(p, 8, func(i int, j *ringJob) { j.refused = i == refused })
		all.left.Wait()
		p.Close()
		s.stop()
		for to, a := range all.answers {
			switch dots := s.dotted[to]; {
			case dots > 1:
				rt.Fatalf("%d dots for %s", dots, to)
			case a.Outcome == notice.OutcomeSent && s.took[to] != 1:
				rt.Fatalf("%s: %+v, and it was not taken", to, a)
			case (a.NoDot || a.Outcome == 0) && dots > 0:
				rt.Fatalf("%s: %+v, and there was a dot", to, a)
			case a.Outcome == notice.OutcomeUncertain && a.NoDot:
				rt.Fatalf("%+v is a contradiction", a)
			case to == fmt.Sprintf("m%d@example.org", refused) && dots > 0:
				rt.Fatalf("a dot without a mark")
			}
		}
	})
}
