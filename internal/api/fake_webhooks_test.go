package api

import (
	"context"

	"tocsin/internal/notice"
)

func (f *fake) Webhooks(context.Context) ([]notice.Webhook, error) {
	defer f.lock()()
	return f.webhooks, f.fail
}

func (f *fake) TestWebhook(_ context.Context, name, who string) (notice.WebhookMessage, error) {
	defer f.lock()()
	f.who = who
	for _, w := range f.webhooks {
		if w.Name == name {
			return notice.WebhookMessage{Number: 7, Webhook: name, ID: "0", Event: notice.EventTest}, f.fail
		}
	}
	return notice.WebhookMessage{}, notice.NotFound("there is no webhook %q", name)
}

func (f *fake) RetryWebhook(_ context.Context, name, who string) (int, error) {
	m, err := f.TestWebhook(context.Background(), name, who)
	return int(m.Number), err
}

func (f *fake) WebhookMessage(ctx context.Context, name string, number int64) (notice.WebhookMessage, error) {
	m, err := f.TestWebhook(ctx, name, f.who)
	if err == nil && m.Number != number {
		err = notice.NotFound("webhook %q has no message %d", name, number)
	}
	return m, err
}
