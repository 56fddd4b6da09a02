package pace

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// throttledAt sends to ten domains for four seconds, through a far side that takes fewer mails. It returns the pairs
// that are throttled then.
func throttledAt(t *testing.T, text func(domain int) string) (all []notice.Throttled) {
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		p, w := paceWatched(t, url)
		far := &farSide{rate: 100, at: time.Now()}
		for end, n := time.Now().Add(4*time.Second), 0; time.Now().Before(end); n++ {
			l, r := p.Ask(fmt.Sprintf("d%d.example", n%10))
			if l == nil {
				time.Sleep(min(r.Wait, 5*time.Millisecond))
				continue
			}
			a := far.answer()
			if a.Outcome != notice.OutcomeSent {
				a.Text = text(n % 10)
			}
			p.Done(l, a)
			time.Sleep(time.Millisecond)
		}
		doc, err := w.Pace(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = doc.Throttled
	})
	return all
}

func TestWhatARelaySaysToManyDomainsAlikeIsAboutItself(t *testing.T) {
	t.Parallel()
	all := throttledAt(t, func(domain int) string { return fmt.Sprintf("<m@d%d.example>: rate limit, try later", domain) })
	if len(all) != 1 || all[0].Domain != "" || all[0].Relay != "main" || all[0].RatePerS < 20 || all[0].RatePerS > 300 {
		t.Errorf("throttled are %+v, want the relay alone", all)
	}
}

func TestWhatDomainsSayEachInItsWordsIsAboutThem(t *testing.T) {
	t.Parallel()
	words := []string{"slow", "busy", "wait", "later", "full", "halt", "stop", "pause", "queue", "load"}
	all := throttledAt(t, func(domain int) string { return words[domain] })
	for _, th := range all {
		if th.Domain == "" {
			t.Errorf("the relay is throttled: %+v", all)
		}
	}
	if len(all) < 3 {
		t.Errorf("throttled are %+v", all)
	}
}
