package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/api"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// looked is an installation with uncertain deliveries, and the reconciliations that it was asked for.
type looked struct {
	*installation
	all []ledger.Uncertain
	got []ledger.Reconciliation
}

func (l *looked) Uncertain(context.Context, string, int, int) ([]ledger.Uncertain, error) {
	return l.all, nil
}

func (l *looked) Reconcile(_ context.Context, _ string, r ledger.Reconciliation, _ string) (ledger.Reconciled, error) {
	l.got = append(l.got, r)
	return ledger.Reconciled{Sent: len(r.Evidence), Requeued: len(r.Requeue)}, nil
}

func (in *installation) Notices(context.Context, notice.Page) ([]notice.Status, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return []notice.Status{in.st}, nil
}

// tried is when the deliveries of a looked were tried: long before any gate.
var tried = time.Now().Add(-time.Hour).UTC().Truncate(time.Second)

// look returns a command line before three uncertain deliveries, numbers 0 to 2, of which the last one's gate is
// still shut.
func look(t *testing.T) (terminal, *looked) {
	t.Helper()
	l := &looked{installation: newInstallation()}
	for seq := range 3 {
		l.all = append(l.all, ledger.Uncertain{Seq: seq, Address: fmt.Sprintf("c%d@example.com", seq), MessageID: fmt.Sprintf("<t.%d@example.net>", seq), Epoch: 7,
			LogFrom: tried.Add(-2 * time.Minute), LogUntil: tried.Add(17 * time.Minute), RequeueFrom: tried.Add(15 * time.Minute), GateOpen: seq < 2})
	}
	l.all[2].RequeueFrom = time.Now().Add(time.Hour)
	server := httptest.NewServer(api.NewServer(api.Options{Desk: l, Book: l, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "en.md"), "Hello: world\n")
	return terminal{l.installation, "TOCSIN_URL=" + server.URL, dir}, l
}

// postfix writes a log with a line five minutes before the mails were tried, and one half an hour after that. Mail 0
// was taken; of mail 1 the header came and no more.
func (c terminal) postfix(t *testing.T, zone *time.Location) string {
	t.Helper()
	var b strings.Builder
	for _, l := range []struct {
		after time.Duration
		text  string
	}{
		{-5 * time.Minute, "anvil[1]: statistics: max connection rate 1/60s"},
		{time.Second, "smtpd[2]: AAAAAA: client=app[192.0.2.7]"},
		{time.Second, "cleanup[3]: AAAAAA: message-id=<t.0@example.net>"},
		{time.Second, "qmgr[4]: AAAAAA: from=<s@example.net>, size=1, nrcpt=1 (queue active)"},
		{2 * time.Second, "cleanup[3]: BBBBBB: message-id=<t.1@example.net>"},
		{30 * time.Minute, "anvil[1]: statistics: max connection rate 1/60s"},
	} {
		fmt.Fprintf(&b, "%s mx1 postfix/%s\n", tried.Add(l.after).In(zone).Format(time.Stamp), l.text)
	}
	path := filepath.Join(c.dir, "mail.log")
	write(t, path, b.String())
	return path
}

func TestReconcileSettlesWhatTheRelayTookAndListsTheRest(t *testing.T) {
	t.Parallel()
	c, l := look(t)
	code, stdout, stderr := c.run(t, "notice", "reconcile", "feeds.1", "--maillog", c.postfix(t, time.UTC), "--log-zone", "UTC")
	want := []ledger.Reconciliation{{
		Evidence: []ledger.Evidence{{MessageID: "<t.0@example.net>", Epoch: 7, QueueID: "AAAAAA", Status: "queue active", At: tried.Add(time.Second)}},
		LogFrom:  tried.Add(-5 * time.Minute), LogUntil: tried.Add(30 * time.Minute),
	}}
	if diff := cmp.Diff(want, l.got); code != exitDone || diff != "" {
		t.Errorf("exit code %d (-want +got):\n%s", code, diff)
	}
	for _, says := range []string{"Read 6 lines of Postfix on mx1, from ", "times that name no zone are in UTC.", "3 mails of feeds.1 may have arrived or not. The relay took 1: to be settled as sent.", "the other 2."} {
		if !strings.Contains(stderr, says) {
			t.Errorf("before it does anything it does not say %q:\n%s", says, stderr)
		}
	}
	for _, says := range []string{"1 mail settled as sent by " + operator(), "c1@example.com  begun       <t.1@example.net>\n                            can be sent again", "c2@example.com  absent      <t.2@example.net>\n                            not before", "1 mail can be sent again: the same command with --requeue-missing"} {
		if !strings.Contains(stdout, says) {
			t.Errorf("lacks %q:\n%s", says, stdout)
		}
	}
}

func TestRequeueMissingTakesOnlyWhatTheLogShowsToBeMissing(t *testing.T) {
	t.Parallel()
	second := []ledger.Missing{{MessageID: "<t.1@example.net>", Epoch: 7}}
	tests := []struct {
		name string
		flag []string
		zone *time.Location // of the log
		want []ledger.Missing
		says string // on stdout
	}{
		{"a log that covers the attempts", nil, time.UTC, second, "1 mail queued to be sent again by " + operator()},
		{"a log in another zone: too late", nil, time.FixedZone("", 7200), nil, "is it in the zone that it was read in?"},
		{"a log in another zone: too early", nil, time.FixedZone("", -7200), nil, "is it in the zone that it was read in?"},
		{"a log said to begin too late", []string{"--log-from", tried.Add(-time.Minute).Format(time.RFC3339)}, time.UTC, nil, "the log must reach from"},
		{"a log said to end too soon", []string{"--log-until", tried.Add(16 * time.Minute).Format("2006-01-02T15:04:05")}, time.UTC, nil, "the log must reach from"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, l := look(t)
			args := append([]string{"notice", "reconcile", "feeds.1", "--requeue-missing", "--log-zone", "UTC", "--maillog", c.postfix(t, tt.zone)}, tt.flag...)
			code, stdout, stderr := c.run(t, args...)
			// The command asks for mail 2 to be sent again, which can't be yet.
			if code != exitFailed || !strings.Contains(stdout, tt.says) {
				t.Errorf("exit code %d:\n%s%s", code, stdout, stderr)
			}
			if len(l.got) != 1 {
				t.Fatalf("reconciled %d times", len(l.got))
			}
			if diff := cmp.Diff(tt.want, l.got[0].Requeue); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReconcileAsJSON(t *testing.T) {
	t.Parallel()
	c, l := look(t)
	l.all = l.all[:2]
	path := c.postfix(t, time.UTC)
	code, stdout, stderr := c.run(t, "notice", "reconcile", "feeds.1", "--json", "--requeue-missing", "--log-zone", "UTC", "--maillog", path)
	want := map[string]any{
		"log": map[string]any{"from": tried.Add(-5 * time.Minute).Format(time.RFC3339), "until": tried.Add(30 * time.Minute).Format(time.RFC3339),
			"lines": 6.0, "sources": []any{"Postfix on mx1"}, "flaw": ""},
		"uncertain": 2.0, "sent": 1.0, "requeued": 1.0, "too_early": 0.0, "possible_from": nil, "not_covered": 0.0, "changed": 0.0,
		"missing": []any{map[string]any{"address": "c1@example.com", "message_id": "<t.1@example.net>", "epoch": 7.0, "log": "begun", "not_again": ""}},
	}
	if diff := cmp.Diff(want, theDocument(t, stdout)); code != exitDone || diff != "" {
		t.Errorf("exit code %d (-want +got):\n%s%s", code, diff, stderr)
	}
	l.all = nil
	code, stdout, _ = c.run(t, "notice", "reconcile", "feeds.1", "--json", "--maillog", path)
	if doc := theDocument(t, stdout); code != exitDone || doc["uncertain"] != 0.0 || len(doc["missing"].([]any)) != 0 {
		t.Errorf("nothing uncertain: exit code %d, %s", code, stdout)
	}
}

func TestReconcileReadsASinksStoreFromStandardInput(t *testing.T) {
	t.Parallel()
	c, l := look(t)
	store := fmt.Sprintf("{\"at\":%q,\"message_id\":\"<t.2@example.net>\",\"raw\":\"\"}\n", tried.Add(time.Second).Format(time.RFC3339))
	var out, errs bytes.Buffer
	code := Run(t.Context(), []string{"notice", "reconcile", "feeds.1", "--maillog", "-"}, strings.NewReader(store), &out, &errs, []string{c.env})
	if code != exitDone || len(l.got) != 1 || len(l.got[0].Evidence) != 1 || l.got[0].Evidence[0].MessageID != "<t.2@example.net>" {
		t.Errorf("exit code %d, %+v: %s%s", code, l.got, &out, &errs)
	}
}

func TestReconcileRefusesWhatIsNoLog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want int
		says string
	}{
		{"no log", nil, exitUsage, "--maillog"},
		{"a log that is away", []string{"--maillog", "/does/not/exist"}, exitFailed, "no such file"},
		{"another file", []string{"--maillog", "DIR/en.md"}, exitFailed, "no line of Postfix"},
		{"no zone", []string{"--maillog", "DIR/en.md", "--log-zone", "Mars"}, exitUsage, "--log-zone"},
		{"no time", []string{"--maillog", "DIR/en.md", "--log-from", "yesterday"}, exitUsage, "--log-from"},
		{"a time to come", []string{"--maillog", "DIR/en.md", "--log-until", "2999-01-01T00:00"}, exitUsage, "still to come"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, l := look(t)
			code, stdout, stderr := c.run(t, append([]string{"notice", "reconcile", "feeds.1"}, tt.args...)...)
			if code != tt.want || !strings.Contains(stderr, tt.says) || len(l.got) != 0 {
				t.Errorf("exit code %d, %+v: %s%s", code, l.got, stdout, stderr)
			}
		})
	}
}

func TestSettleSaysWhatItWillDoToHowManyAndWhoDidIt(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.run(t, "notice", "send", "DIR", "--yes")
	_, stdout, stderr := c.run(t, "notice", "settle", "feeds.1", "--requeue", "--all-uncertain")
	if !strings.Contains(stderr, "Of feeds.1: 3 mails that may have arrived or not, to be sent again, under the same Message-ID.") ||
		!strings.Contains(stdout, "2 mails queued to be sent again by "+operator()+", 20") {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
}

func TestAFinishedNoticeSaysFirstWhatIsUncertain(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.run(t, "notice", "send", "DIR", "--yes")
	for _, command := range []string{"notice status feeds.1", "notice list", "report feeds.1", "notice send DIR", "notice send DIR --wait"} {
		if _, stdout, stderr := c.run(t, strings.Fields(command)...); !strings.HasPrefix(stdout, "3 mails ") || !strings.Contains(stdout, "may have arrived or not") {
			t.Errorf("%s: %.300s%s", command, stdout, stderr)
		}
	}
}
