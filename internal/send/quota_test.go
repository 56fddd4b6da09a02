package send

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// grant answers a pool that wants mails of its only quota, and reports how many it wanted.
func grant(t *testing.T, p *Pool, mails int, until time.Time) (wanted int) {
	t.Helper()
	for wanted == 0 {
		<-p.Wanting()
		for _, d := range p.Demands(false) {
			wanted = d.Want
			p.Allow(d.Relay, mails, time.Unix(600, 0), until)
		}
	}
	return wanted
}

// TestAMailGoesByAPartOfAQuota: a part of a quota is as good as the mails that it has; then the next relay takes over,
// until there is room again.
func TestAMailGoesByAPartOfAQuota(t *testing.T) {
	t.Parallel()
	_, _, a, b := twoRelays(t, nil)
	a.Quota = 300
	p := pool(t, usual, a, b)
	r := submit(p, 3, nil)
	if n := grant(t, p, 2, time.Time{}); n != 3 {
		t.Errorf("wants %d mails of a quota of 300", n)
	}
	until := time.Now().Add(time.Hour)
	grant(t, p, 0, until)
	r.left.Wait()
	by := map[string]int{}
	for to, answer := range r.answers {
		if answer.Outcome != notice.OutcomeSent {
			t.Errorf("%s: %+v", to, answer)
		}
		by[answer.Relay]++
	}
	if by["one"] != 2 || by["two"] != 1 {
		t.Errorf("by relay: %v", by)
	}
	if h := p.Health(); h[0].State != notice.RelayUsedUp || p.Next() != "two" {
		t.Errorf("health %+v, next %s", h, p.Next())
	}
	if d := p.Demands(true); len(d) != 0 {
		t.Errorf("gives back what was used: %+v", d)
	}
	p.Allow("one", 1, time.Unix(600, 0), time.Time{})
	if answer := mustSend(t, p); answer.Relay != "one" {
		t.Errorf("with room again: %+v", answer)
	}
}

func TestMailsEndWhereAllQuotasAreUsedUp(t *testing.T) {
	t.Parallel()
	a := serve(t, nil).relay()
	a.Name, a.Quota = "one", 1
	p := pool(t, usual, a)
	r := submit(p, 2, nil)
	grant(t, p, 0, time.Now().Add(time.Hour))
	r.left.Wait()
	if r.errs != 2 {
		t.Errorf("%d of 2 mails ended with an error", r.errs)
	}
	if _, err := p.Send(t.Context(), mail, &permit{}); !errors.Is(err, ErrNoRelay) || !strings.Contains(err.Error(), "the quota of one is used up until") {
		t.Errorf("the next mail: %v", err)
	}
	if next := p.Next(); next != "" {
		t.Errorf("the next mail goes to %q", next)
	}
}

// TestADotUsesAQuotaAndARefusedEnvelopeDoesNot: a mail has used nothing before its dot was written, and has used one as
// soon as that may have been written.
func TestADotUsesAQuotaAndARefusedEnvelopeDoesNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script map[string]act
		back   int
	}{
		"refused":   {map[string]act{atRCPT: {say: "550 5.1.1 unknown"}}, 5},
		"no answer": {map[string]act{atDot: {hangUp: true}}, 4},
		"taken":     {nil, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, c.script).relay()
			a.Name, a.Quota = "one", 500
			p := pool(t, usual, a)
			r := submit(p, 1, nil)
			grant(t, p, 5, time.Time{})
			r.left.Wait()
			d := p.Demands(true)
			if len(d) != 1 || d[0].Back != c.back || d[0].Relay != "one" || !d[0].Bucket.Equal(time.Unix(600, 0)) {
				t.Errorf("gives back %+v, want %d", d, c.back)
			}
		})
	}
}

func TestAPartThatLiesUnusedOrIsOldIsGivenBack(t *testing.T) {
	t.Parallel()
	a := serve(t, nil).relay()
	a.Name, a.Quota = "one", 500
	p := pool(t, usual, a)
	for name, age := range map[string]func(*quotaPart){
		"unused": func(part *quotaPart) { part.spent = part.spent.Add(-2 * partIdle) },
		"old":    func(part *quotaPart) { part.ends = time.Now() },
	} {
		p.relays[0].quota.asked = time.Now()
		p.Allow("one", 5, time.Unix(600, 0), time.Time{})
		if name == "unused" && len(p.Demands(false)) != 0 {
			t.Errorf("%s: gives back at once", name)
		}
		age(p.relays[0].quota.part)
		if d := p.Demands(false); len(d) != 1 || d[0].Back != 5 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	p.Allow("of no file", 5, time.Unix(600, 0), time.Time{})
	if d := p.Demands(false); len(d) != 1 || d[0].Back != 5 {
		t.Errorf("of a relay that is gone: %+v", d)
	}
}
