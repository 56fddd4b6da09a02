package delivery

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func TestTwoWaysToWriteTheSameBodyAreOne(t *testing.T) {
	t.Parallel()
	local := time.FixedZone("", 3600)
	at := time.Date(2026, 11, 6, 9, 0, 0, 0, local)
	short := notice.Body{Key: "k", Kind: notice.Outage, Phase: "identified", BrokenDomains: []string{"Bücher.example", "mail.example"}, SendAt: &at, Audience: notice.Audience{Filter: ` plan = "gold" `}}
	utc := at.UTC()
	long := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", Stacked: notice.StackNever,
		BrokenDomains: []string{"mail.example", "xn--bcher-kva.example", "mail.example"}, SendAt: &utc, Audience: notice.Audience{Filter: `plan = "gold"`}}
	a, err := normal(short)
	if err != nil {
		t.Fatal(err)
	}
	b, err := normal(long)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same notice in two forms (-short +long):\n%s", diff)
	}
}

func TestABodyIsRefusedAtItsField(t *testing.T) {
	t.Parallel()
	later, sooner := time.Now().Add(time.Hour), time.Now()
	tests := map[string]func(b *notice.Body){
		"key":      func(b *notice.Body) { b.Key = "12" },
		"incident": func(b *notice.Body) { b.Incident = "a b" },
		"kind":     func(b *notice.Body) { b.Kind = "party" },
		"phase":    func(b *notice.Body) { b.Phase = "reminder" },
		"severity": func(b *notice.Body) { b.Severity = "awful" },
		"stacked":  func(b *notice.Body) { b.Stacked = "often" },
		"zone":     func(b *notice.Body) { b.Zone = "Mars/Olympus" },
		"windows": func(b *notice.Body) {
			b.Windows = []notice.Window{{Start: "2026-11-09T21:00", End: "2026-11-09T20:00"}}
		},
		"broken_domains": func(b *notice.Body) { b.BrokenDomains = []string{"no domain"} },
		"reply_to":       func(b *notice.Body) { b.ReplyTo = "nobody" },
		"audience": func(b *notice.Body) {
			b.Audience = notice.Audience{Customers: []string{"C1"}, Notice: "earlier"}
		},
		"audience.customers":    func(b *notice.Body) { b.Audience.Customers = []string{} },
		"audience.customers[1]": func(b *notice.Body) { b.Audience.Customers = []string{"C1", "  "} },
		"audience.notice":       func(b *notice.Body) { b.Audience.Notice = "k" },
		"audience.include_new":  func(b *notice.Body) { b.Audience.IncludeNew = true },
		"expires_at":            func(b *notice.Body) { b.SendAt, b.ExpiresAt = &later, &sooner },
	}
	for field, spoil := range tests {
		b := notice.Body{Key: "k", Kind: notice.Outage, Phase: "identified"}
		if _, err := normal(b); err != nil {
			t.Fatal(err)
		}
		spoil(&b)
		_, err := normal(b)
		if e, ok := errors.AsType[*notice.Error](err); !ok || e.Field != field || e.Code != notice.CodeInvalid {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

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
		"mark refused":                    {answer: notice.Answer{Outcome: notice.OutcomeLater, NoDot: true}, due: ledger.Due{Tries: 9, Waited: 5 * time.Hour}, refused: true, want: notice.DeliveryDeferred},
	}
	for name, tt := range tests {
		r := &run{Worker: &Worker{Options: Options{}.withDefaults()}, program: &program{Notice: ledger.Notice{ExpiresAt: tt.expires}}}
		o := r.outcome(ledger.Attempt{}, tt.due, tt.answer, tt.refused)
		if o.State != tt.want || o.Reason != tt.reason || o.Delay < tt.delay[0] || o.Delay > tt.delay[1] || o.NoDot != tt.answer.NoDot {
			t.Errorf("%s: %s %q in %v, want %s %q in %v", name, o.State, o.Reason, o.Delay, tt.want, tt.reason, tt.delay)
		}
	}
}

func TestATaskIsReplacedOnlyWhenItMayBeLost(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for s := range 3600 {
		names[chunkGeneration(ledger.DueChunk{Epoch: 7, Overdue: time.Duration(s) * time.Second})] = true
	}
	if len(names) > 10 {
		t.Errorf("a chunk that nobody claims for an hour is enqueued %d times", len(names))
	}
	long := func(d time.Duration) string {
		return chunkGeneration(ledger.DueChunk{Epoch: 7, Overdue: 8*time.Hour + d})
	}
	if long(0) == long(15*time.Minute) {
		t.Error("a chunk that was paused for hours and then lost is not replaced within a quarter of an hour")
	}
	if chunkGeneration(ledger.DueChunk{}) != firstGeneration {
		t.Errorf("the sweep calls a fresh chunk %s, the expansion %s: it would be enqueued twice", chunkGeneration(ledger.DueChunk{}), firstGeneration)
	}
	if chunkGeneration(ledger.DueChunk{Epoch: 7}) == chunkGeneration(ledger.DueChunk{Epoch: 8}) {
		t.Error("a claim does not change the name of the next task")
	}
}
