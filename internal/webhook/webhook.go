// Package webhook tells receivers over HTTP of changes of notices. It speaks Standard Webhooks
// (https://www.standardwebhooks.com) with a CloudEvents 1.0 envelope, or sends the messages of Slack and Teams. The
// ledger writes the messages, and keeps the outcome of each.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tocsin/internal/notice"
)

// Receiver is one that is told, as the settings have it.
type Receiver struct {
	Name   string
	URL    string // may be a secret, and is never logged
	Form   Form
	Events []notice.WebhookEvent

	secrets []*standardwebhooks.Webhook
}

// NewReceiver returns a receiver that signs its messages with each of the secrets: two while one is replaced. A secret
// is base64, with whsec_ before it or without.
func NewReceiver(r Receiver, secrets []string) (*Receiver, error) {
	for _, secret := range secrets {
		s, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: a secret is not whsec_ and base64", r.Name)
		}
		r.secrets = append(r.secrets, s)
	}
	return &r, nil
}

// patience is how long an answer is waited for. Standard Webhooks names 15 to 30 seconds.
const patience = 20 * time.Second

// newClient returns a client that goes to no other place than the settings name: it follows no redirects.
func newClient() *http.Client {
	return &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// post delivers a message once, and returns the outcome. The answer's text is not looked at, and the URL stands in no error.
func (r *Receiver) post(ctx context.Context, client *http.Client, m notice.WebhookMessage, origin Origin, now time.Time) notice.WebhookAnswer {
	body, contentType, err := r.Form.body(m, origin)
	if err != nil {
		return notice.WebhookAnswer{Fault: err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return notice.WebhookAnswer{Fault: "its URL can't be asked"}
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "tocsin/"+origin.Version)
	if r.Form == FormStandard {
		var signatures []string
		for _, s := range r.secrets {
			signature, err := s.Sign(m.ID, now, body)
			if err != nil {
				return notice.WebhookAnswer{Fault: err.Error()}
			}
			signatures = append(signatures, signature)
		}
		req.Header.Set(standardwebhooks.HeaderWebhookID, m.ID)
		req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	resp, err := client.Do(req)
	if err != nil {
		return notice.WebhookAnswer{Fault: withoutURL(err)}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4096) // a short answer read to its end leaves the connection usable
	return answer(resp.StatusCode)
}

// answer is the outcome by status: any 2xx has taken the message.
func answer(status int) notice.WebhookAnswer {
	a := notice.WebhookAnswer{Status: status, Gone: status == http.StatusGone}
	switch {
	case status/100 == 2:
	case status/100 == 3:
		a.Fault = fmt.Sprintf("it answers %d: redirects are not followed, the settings name the last URL", status)
	default:
		a.Fault = strings.TrimSpace(fmt.Sprintf("it answers %d %s", status, http.StatusText(status)))
	}
	return a
}

// withoutURL is an error of a request without its URL, which may be a secret.
func withoutURL(err error) string {
	if of, ok := errors.AsType[*url.Error](err); ok {
		if of.Timeout() {
			return "no answer came in time"
		}
		err = of.Err
	}
	return err.Error()
}

// Check tries whether a receiver answers, without telling it anything.
func (r *Receiver) Check(ctx context.Context) (f notice.Findings) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, r.URL, nil)
	if err != nil {
		f.Warning("mend its url", "its URL can't be asked")
		return f
	}
	resp, err := newClient().Do(req)
	switch {
	case err != nil:
		f.Warning("see that serve can reach it; its messages wait for three days", "it does not answer: %s", withoutURL(err))
		return f
	case resp.StatusCode/100 == 3:
		f.Warning("name the URL that it leads to", "%s", answer(resp.StatusCode).Fault)
	case resp.StatusCode/100 == 5:
		f.Warning("its messages wait for three days", "%s", answer(resp.StatusCode).Fault)
	default:
		f.OK("it answers; `tocsin webhooks test %s` tells it something", r.Name)
	}
	resp.Body.Close()
	if u, err := url.Parse(r.URL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		f.Warning("use https, but inside a network that you trust", "its URL is http: others on the way can read the messages")
	}
	return f
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}
