package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// installation stands in for the parts behind the API: one notice, released or not.
type installation struct {
	api.Book
	api.Desk
	plan notice.Plan

	mu        sync.Mutex
	st        notice.Status
	releases  int
	how       []notice.Releasing // each release
	drift     *notice.Drift      // since a plan was shown
	atRelease notice.State       // its state after a release
	asked     chan struct{}      // gets an element at each Status, if there is room
}

func newInstallation() *installation {
	return &installation{
		plan: notice.Plan{
			From: "Example Status <status@example.net>", ReplyTo: "support@example.org",
			Customers: 1205, Recipients: 1180, Alternates: 12, Filter: `(server = "s1" OR server = "s2") AND plan != "trial"`,
			ByLanguage: map[string]int{"en": 800, "nl": 370}, Suppressed: map[string]int{"no_address": 8, "unreachable": 2},
			Fallback: map[string]int{"fy": 3, "": 5},
			Samples:  []notice.Sample{{Language: "en", Customer: "c-7", Subject: "Power feeds\x1b[2J", Text: "We replace them.\r\n\r\nRegards\r\n"}},
		},
		st:        notice.Status{Number: 7, Key: "feeds.1", Kind: notice.Maintenance, Phase: "scheduled", State: notice.Draft},
		atRelease: notice.Sent, asked: make(chan struct{}, 1),
	}
}

func (in *installation) Draft(context.Context, notice.Body, string) (notice.Status, bool, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.st, !in.st.State.Released(), nil
}

func (in *installation) PreviewDraft(context.Context, string, notice.Previewing) (notice.Plan, error) {
	p := in.plan
	p.Digest = strings.Repeat("ab", 32)
	return p, nil
}

func (in *installation) Preview(_ context.Context, _ notice.Body, v notice.Previewing) (notice.Plan, error) {
	p := in.plan
	if v.Customer != "" {
		p.Asked = in.asking(v.Customer)
	}
	return p, nil
}

func (in *installation) Release(_ context.Context, _ string, how notice.Releasing, _ string) (notice.Status, bool, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.st.State.Released() {
		return in.st, false, nil
	}
	if how.Plan != "" && in.drift != nil {
		return notice.Status{}, false, &notice.Error{Code: notice.CodePlanChanged, Message: "the plan does not stand any more", Drift: in.drift}
	}
	in.how = append(in.how, how)
	at := time.Date(2026, 11, 9, 20, 0, 0, 0, time.UTC)
	in.releases++
	in.st.State, in.st.ReleasedAt = in.atRelease, &at
	in.st.Customers, in.st.Recipients = in.plan.Customers, in.plan.Recipients
	in.st.ByLanguage, in.st.Suppressed = in.plan.ByLanguage, in.plan.Suppressed
	in.st.Counts = map[string]int{"sent": 1167, "uncertain": 3, "suppressed": 10}
	return in.st, true, nil
}

func (in *installation) ReviewDraft(ctx context.Context, ref string, v notice.Previewing) (notice.Plan, error) {
	return in.PreviewDraft(ctx, ref, v)
}

func (in *installation) Approve(ctx context.Context, ref string, a notice.Approving, who string) (notice.Status, bool, error) {
	return in.Release(ctx, ref, notice.Releasing{Plan: a.Plan}, who)
}

func (in *installation) Status(context.Context, string) (notice.Status, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	select {
	case in.asked <- struct{}{}:
	default:
	}
	return in.st, nil
}

func (in *installation) State(context.Context, string) (notice.State, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.st.State, nil
}

func (in *installation) Settle(context.Context, string, notice.Settlement, string) (notice.Settled, error) {
	from := time.Date(2026, 11, 9, 20, 15, 0, 0, time.UTC)
	return notice.Settled{Changed: 2, TooEarly: 1, From: &from}, nil
}

func (in *installation) ImportCustomers(_ context.Context, rows ledger.CustomerRows, o notice.ImportOptions) (r notice.ImportReport, err error) {
	for {
		_, bad, err := rows.Next()
		if err == io.EOF {
			r.Kept = !o.KeepsNothing(r)
			return r, nil
		}
		if err != nil {
			return r, err
		}
		r.Read++
		if bad != nil {
			r.Reject(*bad)
		} else {
			r.Inserted++
		}
	}
}

func (in *installation) EachDelivery(_ context.Context, _ int64, _ *notice.DeliveryState, fn func(notice.Delivery) error) error {
	return fn(notice.Delivery{Address: "a@example.net"})
}

func (in *installation) Report(context.Context, string) (notice.Report, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	r := notice.NewReport([]notice.Status{in.st})
	for _, state := range notice.DeliveryStates {
		r.Add("en", notice.Outcomes{State: state, Count: in.st.Counts[state.String()]})
	}
	return r, nil
}

func (in *installation) Deliveries(_ context.Context, _ int64, p notice.DeliveryPage) (all []notice.Delivery, err error) {
	for seq := p.After + 1; seq < min(p.After+1+p.Limit, 2500); seq++ {
		all = append(all, notice.Delivery{Seq: seq, Address: fmt.Sprintf("a%d@example.net", seq), State: notice.DeliveryUncertain, SMTPText: "gone"})
	}
	return all, nil
}

// terminal is a command line in front of an installation.
type terminal struct {
	*installation
	env, dir string
}

func setup(t *testing.T) terminal {
	t.Helper()
	in := newInstallation()
	server := httptest.NewServer(api.NewServer(api.Options{Desk: in, Book: in, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "notice.yaml"), "key: feeds.1\nkind: maintenance\nphase: scheduled\naudience: all\n")
	write(t, filepath.Join(dir, "en.md"), "---\nsubject: Power feeds\n---\nWe replace them.\n")
	return terminal{in, "TOCSIN_URL=" + server.URL, dir}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command off a terminal; DIR stands for the notice's directory.
func (c terminal) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", c.dir)
	}
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(""), &out, &errs, []string{c.env})
	return code, out.String(), errs.String()
}

// theDocument returns the one document that stdout must consist of.
func theDocument(t *testing.T, stdout string) (doc map[string]any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(stdout))
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("stdout %q is no document: %v", stdout, err)
	}
	if err := dec.Decode(new(any)); err != io.EOF {
		t.Errorf("stdout %q is more than one document", stdout)
	}
	return doc
}

// asking knows the customer c-7, who shares a mailbox with c-8.
func (in *installation) asking(id string) *notice.Asked {
	if id != "c-7" {
		return &notice.Asked{ID: id, Reason: notice.ExcludedByFilter}
	}
	return &notice.Asked{ID: id, Customers: []string{"c-7", "c-8"},
		Sample: &notice.Sample{Language: "nl", Customer: id, Subject: "Stroom", Text: "Wij vervangen ze.\n", HTML: "<p>Wij vervangen ze.</p>"}}
}
