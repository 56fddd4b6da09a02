package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestLimitsAreSetListedAndCleared(t *testing.T) {
	t.Parallel()
	p := &notice.Pace{
		Files:  []notice.DomainLimit{{Domain: "gmail.com", RatePerS: 20, Connections: 8, Of: notice.LimitFile, Workers: 2}},
		Learnt: []notice.Throttled{{Relay: "main", Domain: "gmail.com", RatePerS: 3}, {Relay: "main"}, {Relay: "main", Domain: "a.example", RatePerS: 1}},
	}
	b := setup(t, func(o *Options) { o.Pace = func(context.Context) (*notice.Pace, error) { return p, nil } })
	l, err := b.client.SetLimit(t.Context(), "GMAIL.com", "600/m", 0, 2*time.Hour)
	if err != nil || l.Domain != "gmail.com" || l.RatePerS != 10 || l.By != pressed || b.span != 2*time.Hour {
		t.Errorf("set %+v for %v, %v", l, b.span, err)
	}
	if l, err = b.client.SetLimit(t.Context(), "Bücher.example", "", 3, 0); err != nil || l.Domain != "xn--bcher-kva.example" || l.Connections != 3 || b.span != 0 {
		t.Errorf("set %+v, %v", l, err)
	}
	list, err := b.client.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range list.Limits {
		got = append(got, strings.Join(append([]string{l.Domain, l.Of, l.Says()}, l.Overridden...), " "))
	}
	want := []string{"a.example learnt 1/s", "gmail.com set 10/s", "gmail.com file 20/s, 8 at once rate", "gmail.com learnt 3/s rate",
		"xn--bcher-kva.example set 3 at once"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if l, err = b.client.ClearLimit(t.Context(), "bücher.example"); err != nil || l.Connections != 3 || b.who != pressed {
		t.Errorf("cleared %+v by %s, %v", l, b.who, err)
	}
	if _, err = b.client.ClearLimit(t.Context(), "b.example"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("cleared one that is not set: %v", err)
	}
	for name, call := range map[string]func() error{
		"neither":         func() error { _, err := b.client.SetLimit(t.Context(), "a.example", "", 0, 0); return err },
		"a bad rate":      func() error { _, err := b.client.SetLimit(t.Context(), "a.example", "20", 0, 0); return err },
		"no rate":         func() error { _, err := b.client.SetLimit(t.Context(), "a.example", "0/d", 0, 0); return err },
		"a rate of weeks": func() error { _, err := b.client.SetLimit(t.Context(), "a.example", "20/w", 0, 0); return err },
		"negative":        func() error { _, err := b.client.SetLimit(t.Context(), "a.example", "", -1, 0); return err },
		"too many":        func() error { _, err := b.client.SetLimit(t.Context(), "a.example", "", 1001, 0); return err },
		"an address":      func() error { _, err := b.client.SetLimit(t.Context(), "ann@a.example", "1/s", 0, 0); return err },
		"a single label":  func() error { _, err := b.client.SetLimit(t.Context(), "gmail", "1/s", 0, 0); return err },
		"a span of nothing": func() error {
			_, err := b.client.SetLimit(t.Context(), "a.example", "1/s", 0, time.Nanosecond)
			return err
		},
		"a domain to clear": func() error { _, err := b.client.ClearLimit(t.Context(), "*.example"); return err },
	} {
		if err := call(); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
