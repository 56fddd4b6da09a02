package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestANoticeFromDraftToCancelled(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	first, err := b.client.Draft(ctx, body("mail-down"))
	if err != nil || !first.Created || first.State != notice.Draft || first.Number != 1 {
		t.Fatalf("draft: %+v, %v", first, err)
	}
	if again, err := b.client.Draft(ctx, body("mail-down")); err != nil || again.Created {
		t.Errorf("the same draft: %+v, %v", again, err)
	}
	if r, err := b.client.Release(ctx, "mail-down", notice.Releasing{}); err != nil || !r.Created || r.State != notice.Sending {
		t.Errorf("release: %+v, %v", r, err)
	}
	if r, err := b.client.Release(ctx, "1", notice.Releasing{}); err != nil || r.Created || r.State != notice.Sending {
		t.Errorf("release by number, again: %+v, %v", r, err)
	}
	other := body("mail-down")
	other.Severity = "critical"
	if _, err := b.client.Draft(ctx, other); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another body after release: %v", err)
	}
	for _, step := range []struct {
		act  func(context.Context, string) (notice.Status, error)
		want notice.State
	}{{b.client.Pause, notice.Paused}, {func(ctx context.Context, ref string) (notice.Status, error) {
		return b.client.Resume(ctx, ref, notice.Resuming{})
	}, notice.Sending}, {b.client.TakeBack, notice.Draft},
		{func(ctx context.Context, ref string) (notice.Status, error) {
			return b.client.Move(ctx, ref, notice.Moving{SendAt: "2026-11-09T21:00", Allow: []string{"past"}})
		}, notice.Scheduled}, {b.client.SendNow, notice.Sending}, {b.client.Cancel, notice.Cancelled}} {
		if st, err := step.act(ctx, "mail-down"); err != nil || st.State != step.want {
			t.Errorf("want %s: %+v, %v", step.want, st, err)
		}
	}
	if want := (notice.Moving{SendAt: "2026-11-09T21:00", Allow: []string{"past"}}); b.who != pressed || !reflect.DeepEqual(b.moved, want) {
		t.Errorf("pressed by %q, moved to %+v", b.who, b.moved)
	}
	notices, err := all(b.client.Notices(ctx, ""))
	if err != nil || len(notices) != 1 || notices[0].State != notice.Cancelled {
		t.Errorf("list: %+v, %v", notices, err)
	}
}

// all collects a sequence up to its first error.
func all[T any](seq iter.Seq2[T, error]) (list []T, err error) {
	for v, err := range seq {
		if err != nil {
			return list, err
		}
		list = append(list, v)
	}
	return list, nil
}

func TestNoticesComeInPages(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	const n = 1003 // one page holds 1,000
	for i := range n {
		_, err := b.client.Draft(ctx, body(fmt.Sprintf("k%d", i)))
		if err != nil {
			t.Fatal(err)
		}
	}
	notices, err := all(b.client.Notices(ctx, ""))
	if err != nil || len(notices) != n || notices[0].Key != fmt.Sprintf("k%d", n-1) || notices[n-1].Key != "k0" {
		t.Errorf("%d notices, %v", len(notices), err)
	}
	var page noticeList
	_, text := b.send(t, "GET", "/v1/notices?limit=2&before=3", "")
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Notices) != 2 || page.Next != nil {
		t.Errorf("the last page: %s, %v", text, err)
	}
}

func TestPreviewTestAndSettle(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	in := body("k")
	in.Audience.Filter = `plan = "gold"`
	p, err := b.client.Preview(ctx, in, notice.Previewing{})
	if err != nil || p.Customers != 3 || p.Filter != in.Audience.Filter || p.Asked != nil {
		t.Errorf("preview: %+v, %v", p, err)
	}
	// An id may be anything.
	p, err = b.client.Preview(ctx, in, notice.Previewing{Customer: "a&b=c d/é", Source: true})
	if err != nil || p.Asked == nil || p.Asked.ID != "a&b=c d/é" || p.Asked.Sample.Source == "" {
		t.Errorf("preview for a customer: %+v, %v", p.Asked, err)
	}
	mails, err := b.client.Test(ctx, in, "me@example.org")
	want := []TestMail{
		{Language: "en", Outcome: "sent", Relay: "main", SMTPCode: 250, Enhanced: "2.0.0", SMTPText: "OK me@example.org"},
		{Language: "nl", Outcome: "later", Relay: "main", SMTPCode: 451, SMTPText: "try later"},
	}
	if diff := cmp.Diff(want, mails); err != nil || diff != "" {
		t.Errorf("test: %v (-want +got):\n%s", err, diff)
	}
	if _, err := b.client.Draft(ctx, in); err != nil {
		t.Fatal(err)
	}
	s := notice.Settlement{Requeue: true, Address: "a@example.org"}
	if done, err := b.client.Settle(ctx, "k", s); err != nil || done.Changed != 1 || b.settled != s {
		t.Errorf("settle: %+v, %+v, %v", done, b.settled, err)
	}
}

func TestAStatusDocumentHasNoNullsAndUTC(t *testing.T) {
	t.Parallel()
	b := setup(t)
	resp, text := b.send(t, "POST", "/v1/notices", `{"key":"k","kind":"outage","phase":"resolved"}`, "X-Operator", "")
	if resp.StatusCode != http.StatusCreated || b.who != "TOCSIN_TOKEN" {
		t.Errorf("status %d, pressed by %q", resp.StatusCode, b.who)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"number": 1.0, "key": "k", "incident": "", "kind": "outage", "phase": "resolved", "state": "draft", "created": true,
		"bounces":   map[string]any{"bounced": 0.0, "percent": 0.0, "by_class": map[string]any{}, "complaints": 0.0, "policy_domains": []any{}},
		"customers": 0.0, "recipients": 0.0, "counts": map[string]any{}, "by_language": map[string]any{}, "suppressed": map[string]any{},
		"created_at": "2026-11-09T02:14:07Z", "created_by": "TOCSIN_TOKEN",
		"released_at": nil, "first_sent_at": nil, "last_sent_at": nil, "rate_per_s": 0.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if resp, _ := b.send(t, "POST", "/v1/notices", `{"key":"k","kind":"outage","phase":"resolved"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("the second time: status %d", resp.StatusCode)
	}
	if resp, text := b.send(t, "GET", "/v1/notices", ""); resp.StatusCode != 200 || text[:13] != `{"notices":[{` {
		t.Errorf("list: %s", text)
	}
}

// watched tells when it is asked for a state.
type watched struct {
	*fake
	asked chan struct{}
}

func (w watched) State(ctx context.Context, ref string) (notice.State, error) {
	select {
	case w.asked <- struct{}{}:
	default:
	}
	return w.fake.State(ctx, ref)
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	if _, err := b.client.Draft(ctx, body("k")); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	st, err := b.client.Status(ctx, "k", 120*time.Millisecond)
	if took := time.Since(begin); err != nil || st.State != notice.Draft || took < 120*time.Millisecond {
		t.Errorf("a wait that is over: %+v after %v, %v", st, took, err)
	}
	asked := make(chan struct{}, 1)
	b.server.book = watched{b.fake, asked}
	finished := make(chan time.Time, 1)
	go func() {
		<-asked
		if _, err := b.Cancel(ctx, "k", "x"); err != nil {
			t.Error(err)
		}
		finished <- time.Now()
	}()
	st, err = b.client.Status(ctx, "k", time.Minute)
	if late := time.Since(<-finished); err != nil || st.State != notice.Cancelled || late > 30*time.Second {
		t.Errorf("a notice that ends: %+v, %v later, %v", st, late, err)
	}
	if _, err := b.client.Status(ctx, "gone", time.Second); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("a notice that is not there: %v", err)
	}
}
