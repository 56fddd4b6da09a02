package directory_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// TestAnUpdateSaysAllThatItsNoticeSaid reads the directory of an update. It differs from the notice before in its key,
// phase, audience and times alone.
func TestAnUpdateSaysAllThatItsNoticeSaid(t *testing.T) {
	text := notice.Parameter{Text: `web: "server" #1`}
	for _, before := range []notice.Body{
		{Key: "power.identified", Incident: "power", Kind: notice.Outage, Phase: "identified", Severity: "major", Audience: notice.Audience{All: true}, SendAt: "2026-11-09T21:00",
			Texts: map[string]notice.Text{"en": {Subject: "Plain", Body: "One\n"}, "nl": {Subject: "Mail: 'weg' # <nu>", Body: "Twee\n\nDrie\n"}}, BrokenDomains: []string{"a.example"}},
		{Key: "work.rescheduled", Incident: "work", Kind: notice.Maintenance, Phase: "rescheduled", Template: "maintenance", Zone: "Europe/Amsterdam",
			Parameters: map[string]notice.Parameter{"component": text}, Details: notice.Parameter{ByLanguage: map[string]string{"en": "a\nb", "nl": "c"}},
			Phrases: []notice.Phrase{{Name: "cause.power"}, {Name: "estimate.end", Values: map[string]notice.Parameter{"time": text}}},
			Windows: []notice.Window{{Start: "2026-11-09T21:00", End: "2026-11-09T23:00", Zone: "UTC"}},
			Was:     []notice.Window{{Start: "2026-11-08T21:00", End: "2026-11-08T23:00"}}, Remind: []string{"1h"}, ReplyTo: "noc@example.com"},
		{Key: "single", Kind: notice.Advisory, Phase: "postmortem", Audience: notice.Audience{Notice: "other", Contact: notice.Alternate}, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b\n"}}},
	} {
		files, err := directory.Update(before, nobody)
		if err != nil {
			t.Fatal(err)
		}
		got, err := directory.ReadFiles(files.FS())
		if err != nil {
			t.Errorf("%s: %v\n%s", before.Key, err, files[directory.Manifest])
		}
		want := before
		want.Key, want.Incident, want.Phase = map[string]string{"power.identified": "power.monitoring", "work.rescheduled": "work.in-progress", "single": "single.postmortem"}[before.Key],
			map[bool]string{true: "single", false: before.Incident}[before.Incident == ""], map[notice.Kind]string{notice.Outage: "monitoring", notice.Maintenance: "in-progress", notice.Advisory: "postmortem"}[before.Kind]
		want.Audience = notice.Audience{Notice: before.Key, Contact: before.Audience.Contact}
		want.SendAt, want.Was, want.Remind = "", nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", before.Key, diff, slices.Collect(maps.Values(files)))
		}
	}
}

// nobody has taken any key.
func nobody(string) (bool, error) { return false, nil }

// TestAFollowingNoticeHasAKeyOfItsOwn, however many notices of its phase there are.
func TestAFollowingNoticeHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	before := notice.Body{Key: "power.identified", Incident: "power", Kind: notice.Outage, Phase: "identified", Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b\n"}}}
	for _, test := range []struct {
		taken         []string
		update, again string
	}{
		{nil, "power.monitoring", "power.identified.again"},
		{[]string{"power.monitoring", "power.identified.again"}, "power.monitoring-2", "power.identified.again-2"},
		{[]string{"power.monitoring", "power.monitoring-2", "power.monitoring-4"}, "power.monitoring-3", "power.identified.again"},
	} {
		taken := func(key string) (bool, error) { return slices.Contains(test.taken, key), nil }
		update, err := directory.Update(before, taken)
		if err != nil {
			t.Fatal(err)
		}
		again, err := directory.Again(before, "audience: all", taken)
		if err != nil {
			t.Fatal(err)
		}
		for want, files := range map[string]directory.Files{test.update: update, test.again: again} {
			got, err := directory.ReadFiles(files.FS())
			if err != nil || got.Key != want {
				t.Errorf("of %q: key %q, want %q; %v", test.taken, got.Key, want, err)
			}
		}
	}
}
