package pace

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// Each phase sets other limits in two workers, and counts the mails of both in the second half of its four seconds.
func TestALimitThatIsSetGoesBeforeTheFiles(t *testing.T) {
	t.Parallel()
	const domain = "a.example"
	file := []Limit{{Domain: domain, Rate: 1.0 / 3600, Connections: 3}}
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		var sent counter
		var pacers []*Pacer
		var sending sync.WaitGroup
		ctx, end := context.WithCancel(t.Context())
		for w := range 2 {
			p, _ := start(t, url, fmt.Sprint(w), Options{Limits: file})
			pacers = append(pacers, p)
			sending.Go(func() { send(ctx, p, domain, sent.add) })
		}
		for _, c := range []struct {
			name        string
			set         []Limit
			least, most int
		}{
			{"by the files: one an hour", nil, 0, 0},
			{"a rate that is set", []Limit{{Domain: domain, Rate: 50}}, 95, 102}, // a mail of each worker more at the edges
			{"another one, and one of another domain", []Limit{{Domain: domain, Rate: 10}, {Domain: "b.example", Rate: 1}}, 19, 22},
			{"the first again", []Limit{{Domain: domain, Rate: 50}}, 95, 102},
			{"connections: the rate is the files'", []Limit{{Domain: domain, Connections: 8}}, 0, 0},
		} {
			for _, p := range pacers {
				p.Override(c.set)
			}
			begin := time.Now()
			time.Sleep(4 * time.Second)
			if n := sent.between(begin.Add(2*time.Second), begin.Add(4*time.Second)); n < c.least || n > c.most {
				t.Errorf("%s: %d mails in 2 s, want %d to %d", c.name, n, c.least, c.most)
			}
		}
		end()
		sending.Wait()
	})
}

// A limit of connections that is set counts the mails which are under way; when it is cleared nothing stays of it.
func TestConnectionsThatAreSetCountWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		p, _ := start(t, url, "1", Options{})
		ask := func() *Leave {
			t.Helper()
			for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				if l, _ := p.Ask("a.example"); l != nil {
					return l
				}
			}
			return nil
		}
		under := []*Leave{ask(), ask(), ask()}
		p.Override([]Limit{{Domain: "a.example", Connections: 3}})
		if ask() != nil {
			t.Error("a fourth mail goes beside three")
		}
		p.Done(under[0], notice.Answer{})
		if under[0] = ask(); under[0] == nil {
			t.Fatal("nothing goes beside two")
		}
		p.Override(nil)
		if under = append(under, ask()); under[3] == nil {
			t.Error("the limit goes on after its end")
		}
		for _, l := range under {
			p.Done(l, notice.Answer{})
		}
		p.Override([]Limit{{Domain: "a.example", Connections: 1}})
		if ask() == nil || ask() != nil {
			t.Error("want one at a time")
		}
	})
}

// With Redis away a limit that is set is shared at once, by the workers that were there last.
func TestALimitThatIsSetWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	services := testkit.OwnRedis(t)
	synctest.Test(t, func(t *testing.T) {
		p, stop := start(t, services.RedisURL, "1", Options{})
		_, stopOther := start(t, services.RedisURL, "2", Options{})
		defer time.Sleep(2 * time.Second) // a closed client of go-redis asks for its lost server once more
		defer stopOther()
		defer stop()
		time.Sleep(3 * time.Second)
		if err := services.StopRedis(); err != nil {
			t.Fatal(err)
		}
		p.Override([]Limit{{Domain: "rate.example", Rate: 20}, {Domain: "few.example", Connections: 4}})
		ctx, end := context.WithCancel(t.Context())
		var sent counter
		var sending sync.WaitGroup
		sending.Go(func() { send(ctx, p, "rate.example", sent.add) })
		time.Sleep(6 * time.Second)
		end()
		sending.Wait()
		now := time.Now()
		if n := sent.between(now.Add(-2*time.Second), now); n < 18 || n > 22 {
			t.Errorf("%d mails in 2 s of a share of 10/s", n)
		}
		n := 0
		for l, _ := p.Ask("few.example"); l != nil; l, _ = p.Ask("few.example") {
			n++
		}
		time.Sleep(2 * time.Second)
		for l, _ := p.Ask("few.example"); l != nil; l, _ = p.Ask("few.example") {
			n++
		}
		if n != 2 {
			t.Errorf("%d at once of a share of 2", n)
		}
	})
}

// A rate that is set goes before the learnt one, and teaches nothing.
func TestARateThatIsSetGoesBeforeTheLearntOne(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		p, w := paceWatched(t, url)
		p.Override([]Limit{{Domain: "a.example", Rate: 100}})
		p.mu.Lock()
		p.reports = append(p.reports, report{pair: pair{"main", "a.example"}, rate: floor, upTo: 1})
		p.mu.Unlock()
		time.Sleep(2 * time.Second)
		passed := 0
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if l, _ := p.Ask("a.example"); l != nil {
				passed++
				p.Done(l, notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Relay: "main", Code: 450, Enhanced: "4.7.1"})
			}
		}
		if passed < 280 || passed > 310 {
			t.Errorf("%d mails in 3 s at 100/s", passed)
		}
		time.Sleep(2 * time.Second)
		doc, err := w.Pace(t.Context())
		if err != nil || len(doc.Throttled) != 1 || doc.Throttled[0].UpTo != 1 {
			t.Errorf("learnt %+v, %v", doc.Throttled, err)
		}
	})
}

func TestTheLimitsOfTheFilesAreShown(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		one, two := Limit{Domain: "a.example", Rate: 20, Connections: 8}, Limit{Domain: "b.example", Rate: 1}
		start(t, url, "old", Options{Limits: []Limit{one}})
		p, w := paceWatched(t, url)
		p.Settings(Options{Limits: []Limit{two, one}, Connections: 16})
		time.Sleep(3 * time.Second)
		doc, err := w.Pace(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []notice.DomainLimit{{Domain: "a.example", RatePerS: 20, Connections: 8, Of: notice.LimitFile, Workers: 2},
			{Domain: "b.example", RatePerS: 1, Of: notice.LimitFile, Workers: 1}}
		if diff := cmp.Diff(want, doc.Files); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
