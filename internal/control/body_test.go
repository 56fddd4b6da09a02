package control

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
