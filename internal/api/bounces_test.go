package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func (f *fake) TakeReturned(_ context.Context, raw []byte) (r notice.BounceReceipt, err error) {
	defer f.lock()()
	if strings.HasPrefix(string(raw), "X-Broken:") {
		return r, errors.New("Postgres is away")
	}
	f.returned = append(f.returned, raw)
	return notice.BounceReceipt{Kind: notice.KindBounce, Class: notice.BounceFull, MatchedBy: notice.MatchedByToken,
		Effect: &notice.BounceEffect{Notice: "k", Seq: 3, State: notice.DeliveryBounced, Changed: true}}, nil
}

func TestAMailThatCameBackIsHandedIn(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	mail := "From: mailer-daemon@example.com\r\n\r\nIt did not arrive.\r\n"
	got, err := b.client.TakeBounce(ctx, []byte(mail))
	if err != nil || got.Effect == nil || got.Effect.State != notice.DeliveryBounced || got.MatchedBy != notice.MatchedByToken {
		t.Errorf("%+v, %v", got, err)
	}
	// A mail that is longer than the part that is looked at is taken all the same.
	if _, err := b.client.TakeBounce(ctx, []byte(mail+strings.Repeat("x", 2*maxReturned))); err != nil {
		t.Error(err)
	}
	if n := len(b.returned); n != 2 || string(b.returned[0]) != mail || len(b.returned[1]) != maxReturned {
		t.Errorf("%d mails came", n)
	}
	if _, err := b.client.TakeBounce(ctx, []byte("X-Broken: 1\r\n\r\n")); err == nil {
		t.Error("what could not be recorded was answered as taken")
	}
	if resp, text := b.send(t, "POST", "/v1/bounces", `{"mail":"x"}`); resp.StatusCode != 415 || !strings.Contains(text, formatMail) {
		t.Errorf("JSON: %s %s", resp.Status, text)
	}
}
