package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

type (
	webhookList struct {
		Webhooks []notice.Webhook `json:"webhooks"`
	}
	webhookName struct {
		Name string `path:"name" doc:"as the settings of serve have it"`
	}
	webhookRetry struct {
		Messages int `json:"messages" doc:"how many are tried again"`
	}
)

func (s *Server) describeWebhooks(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"webhooks"}}
	}
	register(s, api, op("list-webhooks", http.MethodGet, "/v1/webhooks", "The receivers that are told of changes of notices, and how each stands"),
		func(ctx context.Context, _ *struct{}) (*answer[webhookList], error) {
			all, err := s.book.Webhooks(ctx)
			return ok(webhookList{orEmpty(all)}, err)
		})
	register(s, api, op("get-webhook-message", http.MethodGet, "/v1/webhooks/{name}/messages/{number}", "The outcome of a message"),
		func(ctx context.Context, in *struct {
			Name   string `path:"name"`
			Number int64  `path:"number"`
		}) (*answer[notice.WebhookMessage], error) {
			return ok(s.book.WebhookMessage(ctx, in.Name, in.Number))
		}, 404, 422)
	test := op("test-webhook", http.MethodPost, "/v1/webhooks/{name}/test", "Send a test event to a receiver; the message has its outcome")
	test.DefaultStatus = http.StatusCreated
	register(s, api, test, func(ctx context.Context, in *webhookName) (*answer[notice.WebhookMessage], error) {
		return created(s.book.TestWebhook(ctx, in.Name, requestOf(ctx).who))
	}, 404, 422)
	register(s, api, op("retry-webhook", http.MethodPost, "/v1/webhooks/{name}/retry", "Try the messages that wait, or were given up, at once"),
		func(ctx context.Context, in *webhookName) (*answer[webhookRetry], error) {
			n, err := s.book.RetryWebhook(ctx, in.Name, requestOf(ctx).who)
			return ok(webhookRetry{n}, err)
		}, 404, 422)
}

func webhookPath(name, rest string) string { return "/v1/webhooks/" + url.PathEscape(name) + rest }

// Webhooks returns the receivers of events.
func (cl *Client) Webhooks(ctx context.Context) ([]notice.Webhook, error) {
	var list webhookList
	err := cl.do(ctx, call{method: http.MethodGet, path: "/v1/webhooks", again: untilReached}, &list)
	return list.Webhooks, err
}

// TestWebhook has a test event sent to a receiver.
func (cl *Client) TestWebhook(ctx context.Context, name string) (m notice.WebhookMessage, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: webhookPath(name, "/test")}, &m)
	return m, err
}

// WebhookMessage returns a message of a receiver.
func (cl *Client) WebhookMessage(ctx context.Context, name string, number int64) (m notice.WebhookMessage, err error) {
	err = cl.do(ctx, call{method: http.MethodGet, path: webhookPath(name, "/messages/"+strconv.FormatInt(number, 10)), again: untilReached}, &m)
	return m, err
}

// RetryWebhook has the messages of a receiver that wait, or were given up, tried at once, and returns how many those are.
func (cl *Client) RetryWebhook(ctx context.Context, name string) (int, error) {
	var r webhookRetry
	err := cl.do(ctx, call{method: http.MethodPost, path: webhookPath(name, "/retry")}, &r)
	return r.Messages, err
}
