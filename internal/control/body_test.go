package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestTwoWaysToWriteTheSameBodyAreOne(t *testing.T) {
	t.Parallel()
	local := time.FixedZone("", 3600)
	at := time.Date(2026, 11, 6, 9, 0, 0, 0, local)
	short := notice.Body{Key: "k", Kind: notice.Outage, Phase: "identified", BrokenDomains: []string{"Bücher.example", "mail.example"}, SendAt: notice.Time(at.Format(time.RFC3339)), Audience: notice.Audience{Filter: ` plan = "gold" `}}
	long := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", Stacked: notice.StackNever,
		BrokenDomains: []string{"mail.example", "xn--bcher-kva.example", "mail.example"}, SendAt: notice.At(at), Audience: notice.Audience{Filter: `plan = "gold"`}}
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

func TestATimeOfAClockIsKeptAsItIsWritten(t *testing.T) {
	t.Parallel()
	for written, want := range map[notice.Time]notice.Time{
		"":                            "",
		"2026-11-06T09:00":            "2026-11-06T09:00:00",
		"2026-11-06 09:00":            "2026-11-06T09:00:00",
		"2026-11-06T09:00:00":         "2026-11-06T09:00:00",
		"2026-11-06T09:00:00.7+01:00": "2026-11-06T08:00:00Z",
		"2026-11-06T09:00+01:00":      "2026-11-06T08:00:00Z",
		"2027-03-28T02:30":            "2027-03-28T02:30:00", // refused only of a new notice
	} {
		b := notice.Body{Key: "k", Kind: notice.Outage, Phase: "identified", Zone: "Europe/Amsterdam", SendAt: written}
		if b, err := normal(b); err != nil || b.SendAt != want {
			t.Errorf("%q is kept as %q, %v, want %q", written, b.SendAt, err, want)
		}
	}
	b := notice.Body{Zone: "Europe/Amsterdam", SendAt: "2026-11-06T09:00:00", ExpiresAt: "2026-11-06T08:30:00Z"}
	sendAt, expiresAt, err := b.Schedule()
	if err != nil || stamp(*sendAt) != "2026-11-06 08:00 UTC" || stamp(*expiresAt) != "2026-11-06 08:30 UTC" {
		t.Errorf("it is sent at %v and expires at %v, %v", sendAt, expiresAt, err)
	}
}

func TestANewBodySaysWhichInstantItMeans(t *testing.T) {
	t.Parallel()
	good := notice.Body{Key: "k", Kind: notice.Outage, Phase: "identified", Audience: notice.Audience{All: true}}
	for name, tt := range map[string]struct {
		change      func(b *notice.Body)
		field, says string
	}{
		"a clock without a zone": {func(b *notice.Body) { b.SendAt = "2026-11-06T09:00" }, "send_at", "add one such as zone: Europe/Amsterdam"},
		"the same of the end":    {func(b *notice.Body) { b.ExpiresAt = "2026-11-06T09:00" }, "expires_at", "2026-11-06T09:00:00Z"},
		"an hour that comes twice": {func(b *notice.Body) { b.Zone, b.SendAt = "Europe/Amsterdam", "2027-10-31T02:30" },
			"send_at", "write 2027-10-31T02:30+02:00 or 2027-10-31T02:30+01:00"},
		"an hour that does not exist": {func(b *notice.Body) { b.Zone, b.ExpiresAt = "America/New_York", "2027-03-14 02:30" },
			"expires_at", "write 2027-03-14T01:30-05:00 or 2027-03-14T03:30-04:00"},
		"a window in the zone of the settings": {func(b *notice.Body) {
			b.Windows = []notice.Window{{Start: "2027-03-14T00:30", End: "2027-03-14T02:30"}}
		}, "windows", "does not exist in America/New_York"},
		"more windows than anybody reads": {func(b *notice.Body) {
			b.Windows = slices.Repeat([]notice.Window{{Start: "2027-03-14T20:00", End: "2027-03-14T22:00"}}, maxWindows+1)
		}, "windows", "are 51, and a notice has 50 at most"},
	} {
		b := good
		tt.change(&b)
		b, err := normal(b)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := errors.AsType[*notice.Error](unambiguous(b, "America/New_York"))
		if !ok || e.Field != tt.field || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%s: got %v, want %s: %s", name, e, tt.field, tt.says)
		}
	}
}

func TestABodyIsRefusedAtItsField(t *testing.T) {
	t.Parallel()
	const later, sooner = "2026-11-09T21:00", "2026-11-09T20:59"
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
		"audience_at":           func(b *notice.Body) { b.AudienceAt, b.MaxRecipients = notice.AtSend, 10 }, // without send_at
		"max_recipients":        func(b *notice.Body) { b.AudienceAt, b.SendAt = notice.AtSend, sooner },
		"send_at":               func(b *notice.Body) { b.SendAt = "tomorrow" },
		"expires_at":            func(b *notice.Body) { b.SendAt, b.ExpiresAt = later, sooner },
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

func TestAnAmendmentKnowsTheWindowsThatItDrops(t *testing.T) {
	t.Parallel()
	at := func(days ...int) (all []notice.Window) {
		for _, day := range days {
			all = append(all, notice.Window{Start: fmt.Sprintf("2026-12-%02dT21:00", day), End: fmt.Sprintf("2026-12-%02dT23:00", day), Zone: "Europe/Amsterdam"})
		}
		return all
	}
	for name, tt := range map[string]struct{ windows, was, amended, before, want []notice.Window }{
		"as many":                            {windows: at(1, 2), amended: at(3, 4)},
		"more":                               {windows: at(1, 2), amended: at(3)},
		"fewer":                              {windows: at(1), amended: at(3, 4), want: at(3, 4)},
		"fewer, of one that dropped more":    {windows: at(1), amended: at(3, 4), before: at(5, 6, 7), want: at(5, 6, 7)},
		"as many, of one that dropped":       {windows: at(1), amended: at(3), before: at(5, 6), want: at(5, 6)},
		"none":                               {amended: at(3), want: at(3)},
		"of one that was moved":              {windows: at(1), was: at(5), amended: at(3), before: at(5), want: at(5)},
		"of one that was moved, and fewer":   {windows: at(1), was: at(5), amended: at(3, 4), before: at(5), want: at(5, 4)},
		"of one that was moved, and dropped": {windows: at(1), was: at(5, 6), amended: at(3), before: at(5, 6), want: at(5, 6)},
	} {
		got := withdrawn(notice.Body{Windows: tt.windows, Was: tt.was}, notice.Body{Windows: tt.amended, Was: tt.before})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
