package console

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tocsin/internal/notice"
)

func english() *Frame {
	return &Frame{Lang: "en", Zone: time.UTC, Now: time.Now(), words: readWords().of["en"], print: message.NewPrinter(language.English)}
}

func TestTheRateIsThatOfTheLastMinute(t *testing.T) {
	t.Parallel()
	s, began := newSpeeds(), time.Date(2026, 11, 9, 3, 0, 0, 0, time.UTC)
	at := func(seconds, sent int) float64 {
		return s.of(notice.Status{Number: 1, RatePerS: 7, Counts: map[string]int{"sent": sent - 1, "bounced": 1}}, began.Add(time.Duration(seconds)*time.Second))
	}
	for _, tt := range []struct {
		seconds, sent int
		want          float64
	}{
		{0, 100, 7}, {2, 300, 7}, {10, 1100, 100}, {40, 1100, 25}, {70, 1100, 0}, {400, 2000, 7}, {410, 2050, 5},
	} {
		if got := at(tt.seconds, tt.sent); got != tt.want {
			t.Errorf("%d mails after %d s: %v/s, want %v", tt.sent, tt.seconds, got, tt.want)
		}
	}
	s.of(notice.Status{Number: 2}, began.Add(time.Hour))
	if len(s.by) != 1 {
		t.Errorf("%d notices are remembered", len(s.by))
	}
}

// TestDecisionsAreCollected: each matter that waits for a person once, the gravest first.
func TestDecisionsAreCollected(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(time.Hour)
	open := []notice.Status{
		{Key: "braked", State: notice.Held, Reason: notice.ReasonRefused + "main: 554 no"}, {Key: "planned", State: notice.Held, HeldUntil: &until},
		{Key: "rests", State: notice.Paused}, {Key: "goes", State: notice.Sending},
	}
	recent := append([]notice.Status{{Key: "old", Counts: map[string]int{"uncertain": 2}}, {Key: "asks", AwaitingApproval: &notice.AwaitedApproval{AskedBy: "ada", Recipients: 12_000}}, {Key: "gone", Counts: map[string]int{"uncertain": 2}, RowsDroppedAt: &until}}, open...)
	v := &nowView{Frame: english(), Pace: &notice.Pace{Relays: []notice.RelayHealth{
		{Relay: "main", Worker: "w1", State: notice.RelayResting, Error: "connection refused"}, {Relay: "spare", Worker: "w1", State: notice.RelayUp},
		{Relay: "third", Worker: "w1", State: notice.RelayAtRest, Rest: &notice.Rest{}}}}}
	v.decide(open, recent, "w1 sends to all, w2 to some")
	var got []string
	for _, d := range v.Decisions {
		got = append(got, d.Text)
	}
	want := []string{"No worker sends: their settings only_to differ: w1 sends to all, w2 to some", "braked is held: a relay refuses everybody: main: 554 no", "no worker is alive",
		"Relay main, as w1 finds it, is down: connection refused", "Mails of old that may have arrived or not: 2", "asks waits for approval: ada wants it to go to 12,000 recipients", "rests is paused"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// TestEachBrakeIsInWords of the reader.
func TestEachBrakeIsInWords(t *testing.T) {
	t.Parallel()
	f, at := english(), time.Date(2026, 11, 9, 21, 0, 0, 0, time.UTC)
	sending := func(p notice.Pace) notice.Status {
		return notice.Status{State: notice.Sending, Pace: &p, Counts: map[string]int{"queued": 1}}
	}
	up := []notice.RelayHealth{{Relay: "main", State: notice.RelayUp}}
	for want, st := range map[string]notice.Status{
		"":                                                    sending(notice.Pace{Workers: 1, Relays: up}),
		"paused by an operator":                               {State: notice.Paused},
		"the text would have had an empty field":              {State: notice.Held, Reason: notice.ReasonHole},
		"goes out at 2026-11-09 21:00:00 UTC":                 {State: notice.Scheduled, SendAt: &at},
		"the workers’ settings only_to differ":                {State: notice.Sending, Disagree: "x"},
		"no worker is alive":                                  sending(notice.Pace{}),
		"no relay can be reached; main: refused":              sending(notice.Pace{Workers: 1, Relays: []notice.RelayHealth{{Relay: "main", State: notice.RelayResting, Error: "refused"}}}),
		"relay main takes mails and does not answer: 10 wait": sending(notice.Pace{Workers: 1, Relays: []notice.RelayHealth{{Relay: "main", State: notice.RelaySilent, Error: "10 wait"}}}),
		"relay main has taken its 2,000 mails of a day, until 2026-11-09 21:00:00 UTC": sending(notice.Pace{Workers: 1, Quotas: []notice.Quota{{Relay: "main", PerDay: 2000, Until: &at}}, Relays: up}),
		"relay main rests, until it is resumed, ada: upkeep": sending(notice.Pace{Workers: 1, Relays: []notice.RelayHealth{{Relay: "main", State: notice.RelayAtRest,
			Rest: &notice.Rest{Relay: "main", By: "ada", Reason: "upkeep"}}}}),
		"1,200 mails were put off, and are tried again":                   {State: notice.Sending, Pace: &notice.Pace{Workers: 1, Relays: up}, Counts: map[string]int{"deferred": 1200}},
		"limit of 5000/h of relay main, at most 3 at once to a-b.example": sending(notice.Pace{Workers: 1, Relays: up, Limited: []notice.Limited{{Relay: "main", RatePerS: 5000. / 3600}, {Domain: "a-b.example", Connections: 3}}}),
		"a-b.example / main asked for fewer: 2.5/s":                       sending(notice.Pace{Workers: 1, Relays: up, Throttled: []notice.Throttled{{Relay: "main", Domain: "a-b.example", RatePerS: 2.5}}}),
	} {
		if got := f.brake(st); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
