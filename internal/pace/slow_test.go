package pace

import (
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/notice"
)

// sixteen is a pacer that needs no Redis, with so many connections; it is not run.
func sixteen(t *testing.T) *Pacer {
	t.Helper()
	p, err := New("redis://127.0.0.1:1", Options{Connections: 16, Next: func() string { return "main" }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sent sends one mail to a domain that answers after so long.
func (p *Pacer) sent(t *testing.T, domain string, after time.Duration) {
	t.Helper()
	l, r := p.Ask(domain)
	if l == nil {
		t.Fatalf("no leave for %s: %+v", domain, r)
	}
	time.Sleep(after)
	p.Done(l, notice.Answer{Outcome: notice.OutcomeSent, Relay: "main", Code: 250})
}

func TestADomainThatNeverAnswersLeavesConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := sixteen(t)
		defer p.redis.Close()
		var held []*Leave
		for range 1000 { // ten minutes and more: it is not forgotten either
			p.sent(t, "fine.example", 20*time.Millisecond)
			if l, _ := p.Ask("tarpit.example"); l != nil {
				held = append(held, l)
			}
			time.Sleep(time.Second)
			p.mu.Lock()
			p.tidy(time.Now())
			p.mu.Unlock()
		}
		if len(held) != 8 {
			t.Errorf("%d of 16 connections are the tarpit's, want 8", len(held))
		}
		for _, l := range held {
			p.Done(l, notice.Answer{})
		}
		time.Sleep(2 * time.Minute)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tidy(time.Now())
		if p.slow != 0 || len(p.domains) != 0 {
			t.Errorf("%d mails to slow domains and %d domains are left over", p.slow, len(p.domains))
		}
	})
}

// The mails to one domain are never more than those to all, whenever their count was looked at last.
func TestAPartIsNeverMoreThanTheWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := sixteen(t)
		defer p.redis.Close()
		for i := range 200 {
			p.sent(t, []string{"a.example", "b.example", "c.example"}[i%7%3], time.Duration(i%11)*10*time.Millisecond)
			time.Sleep(time.Duration(i*i%9) * 900 * time.Millisecond)
			p.mu.Lock()
			for name := range p.domains {
				p.isSlow(name, time.Now())
				if d := p.domains[name]; d.mails > p.all.mails || d.seconds > p.all.seconds+1e-9 {
					t.Errorf("%s: %+v of %+v", name, d, p.all)
				}
			}
			p.mu.Unlock()
		}
	})
}
