package pace

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// A limit is named if mails use it up, and not if it would let more mails pass.
func TestALimitThatIsReachedIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		o     Options
		every time.Duration // between two mails of a sender
		want  []notice.Limited
	}{
		{"a relay's rate", Options{Relays: map[string]notice.Rate{"main": 100}}, 0, []notice.Limited{{Relay: "main", RatePerS: 100}}},
		{"a relay's rate that is not reached", Options{Relays: map[string]notice.Rate{"main": 500}}, 20 * time.Millisecond, []notice.Limited{}},
		{"a domain's rate", Options{Relays: map[string]notice.Rate{"main": 500}, Limits: []Limit{{Domain: "a.example", Rate: 20, Connections: 8}}}, 0,
			[]notice.Limited{{Domain: "a.example", RatePerS: 20}}},
		{"a domain's connections", Options{Limits: []Limit{{Domain: "a.example", Connections: 1}}}, 10 * time.Millisecond,
			[]notice.Limited{{Domain: "a.example", Connections: 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := testkit.Redis(t)
			synctest.Test(t, func(t *testing.T) {
				p, _ := start(t, url, "1", c.o)
				w, err := NewWatcher(url)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				w.redis.AddHook(bubbleClock{})
				ctx, end := context.WithCancel(t.Context())
				var sending sync.WaitGroup
				for range 3 {
					sending.Go(func() { send(ctx, p, "a.example", func() { time.Sleep(c.every) }) })
				}
				time.Sleep(3 * watched)
				doc, err := w.Pace(t.Context())
				end()
				sending.Wait()
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, doc.Limited); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
