package api

import (
	"testing"

	"tocsin/internal/notice"
)

func TestWebhooksAreListedTestedAndRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	if all, err := b.client.Webhooks(ctx); err != nil || len(all) != 0 {
		t.Errorf("listed %+v, %v", all, err)
	}
	b.webhooks = []notice.Webhook{{Name: "on-call", Events: notice.WebhookEvents, Waiting: 2}}
	all, err := b.client.Webhooks(ctx)
	if err != nil || len(all) != 1 || all[0].Name != "on-call" || all[0].Waiting != 2 {
		t.Errorf("listed %+v, %v", all, err)
	}
	m, err := b.client.TestWebhook(ctx, "on-call")
	if err != nil || m.Event != notice.EventTest || b.who != pressed {
		t.Errorf("tested %+v by %s, %v", m, b.who, err)
	}
	if m, err = b.client.WebhookMessage(ctx, "on-call", m.Number); err != nil || m.Webhook != "on-call" {
		t.Errorf("read %+v, %v", m, err)
	}
	if n, err := b.client.RetryWebhook(ctx, "on-call"); err != nil || n != 7 {
		t.Errorf("retried %d, %v", n, err)
	}
	if _, err := b.client.TestWebhook(ctx, "chat"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("tested one that is not there: %v", err)
	}
	if _, err := b.client.WebhookMessage(ctx, "on-call", 8); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("read a message that is not there: %v", err)
	}
}
