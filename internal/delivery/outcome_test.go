package delivery

import (
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

func TestAnAnswerDecidesWhatBecomesOfTheDelivery(t *testing.T) {
	t.Parallel()
	expires := time.Now().Add(time.Hour)
	tests := map[string]struct {
		answer  notice.Answer
		due     ledger.Due
		expires *time.Time
		refused bool
		want    notice.DeliveryState
		reason  string
		delay   [2]time.Duration
	}{
		"250":                             {answer: notice.Answer{Outcome: notice.OutcomeSent, Code: 250}, want: notice.DeliverySent},
		"550":                             {answer: notice.Answer{Outcome: notice.OutcomeNever, Code: 550}, want: notice.DeliveryFailed},
		"no answer to the dot":            {answer: notice.Answer{Outcome: notice.OutcomeUncertain}, want: notice.DeliveryUncertain},
		"no outcome is no success":        {answer: notice.Answer{}, want: notice.DeliveryUncertain},
		"450 the first time":              {answer: notice.Answer{Outcome: notice.OutcomeLater, Code: 450}, want: notice.DeliveryDeferred, delay: [2]time.Duration{15 * time.Second, 45 * time.Second}},
		"450 the third time":              {answer: notice.Answer{Outcome: notice.OutcomeLater, Code: 450}, due: ledger.Due{Tries: 2}, want: notice.DeliveryDeferred, delay: [2]time.Duration{time.Minute, 3 * time.Minute}},
		"450 for too long":                {answer: notice.Answer{Outcome: notice.OutcomeLater, Code: 450}, due: ledger.Due{Tries: 7, Waited: 5 * time.Hour}, want: notice.DeliveryFailed, reason: notice.ReasonTooLong},
		"450 at first, after a long hold": {answer: notice.Answer{Outcome: notice.OutcomeLater, Code: 450}, due: ledger.Due{Waited: 5 * time.Hour}, want: notice.DeliveryDeferred, delay: [2]time.Duration{15 * time.Second, 45 * time.Second}},
		"450 for long, with expires_at":   {answer: notice.Answer{Outcome: notice.OutcomeLater, Code: 450}, due: ledger.Due{Waited: 5 * time.Hour}, expires: &expires, want: notice.DeliveryDeferred, delay: [2]time.Duration{15 * time.Second, 45 * time.Second}},
		"connection lost at first":        {answer: notice.Answer{Outcome: notice.OutcomeLater, NoDot: true}, want: notice.DeliveryDeferred},
		"connection lost again":           {answer: notice.Answer{Outcome: notice.OutcomeLater, NoDot: true}, due: ledger.Due{Tries: 1}, want: notice.DeliveryDeferred, delay: [2]time.Duration{30 * time.Second, 90 * time.Second}},
		"no relay answers, again":         {answer: notice.Answer{Outcome: notice.OutcomeLater, OfRelay: true, NoDot: true}, due: ledger.Due{Tries: 9, Waited: 5 * time.Hour}, want: notice.DeliveryDeferred},
		"553 to MAIL at first":            {answer: notice.Answer{Outcome: notice.OutcomeLater, OfRelay: true, NoDot: true, Code: 553}, want: notice.DeliveryDeferred},
		"553 to MAIL for long":            {answer: notice.Answer{Outcome: notice.OutcomeLater, OfRelay: true, NoDot: true, Code: 553}, due: ledger.Due{Tries: 9, Waited: 5 * time.Hour}, want: notice.DeliveryDeferred, delay: [2]time.Duration{7 * time.Minute, 23 * time.Minute}},
		"mark refused":                    {answer: notice.Answer{Outcome: notice.OutcomeLater, NoDot: true}, due: ledger.Due{Tries: 9, Waited: 5 * time.Hour}, refused: true, want: notice.DeliveryDeferred},
	}
	for name, tt := range tests {
		w := &Worker{Options: Options{}.withDefaults()}
		o := w.outcome(ledger.Attempt{}, &program{Notice: ledger.Notice{ExpiresAt: tt.expires}}, tt.due, tt.answer, tt.refused)
		if o.State != tt.want || o.Reason != tt.reason || o.Delay < tt.delay[0] || o.Delay > tt.delay[1] || o.NoDot != tt.answer.NoDot {
			t.Errorf("%s: %s %q in %v, want %s %q in %v", name, o.State, o.Reason, o.Delay, tt.want, tt.reason, tt.delay)
		}
	}
}

// givenBack is a pacer that keeps the answers of leaves that were given back.
type givenBack struct {
	unpaced
	answers []notice.Answer
}

func (g *givenBack) Done(_ *pace.Leave, a notice.Answer) { g.answers = append(g.answers, a) }

// TestALeaveIsGivenBackOnce: a mail that its relay leaves without an answer counts against no limit, though it is under
// way, and is recorded as any other.
func TestALeaveIsGivenBackOnce(t *testing.T) {
	t.Parallel()
	sent := notice.Answer{Outcome: notice.OutcomeSent, Code: 250}
	for name, c := range map[string]struct {
		unanswered int
		want       notice.Answer
	}{"answered soon": {0, sent}, "after long silence": {2, notice.Answer{}}} {
		s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){grant}}
		writing(t, s, func(t *testing.T, w *writer) {
			pacer := &givenBack{}
			worker := &Worker{Options: Options{Pacer: pacer}, writer: w, runs: map[*line]*run{}}
			r := &run{begun: make(chan struct{}), end: func() {}, underway: 1}
			j := newJob(worker, r, pending{}, &pace.Leave{})
			for range c.unanswered {
				j.Unanswered()
			}
			if c.unanswered > 0 && (r.underway != 1 || len(s.calls) != 0) {
				t.Errorf("%s: it is not under way any more", name)
			}
			j.Done(sent, nil)
			<-r.begun
			if len(pacer.answers) != 1 || pacer.answers[0] != c.want {
				t.Errorf("%s: given back with %+v", name, pacer.answers)
			}
			if n := len(s.calls); n != 1 || s.calls[0].outcomes[0].State != notice.DeliverySent {
				t.Errorf("%s: recorded %+v", name, s.calls)
			}
		})
	}
}
