// Package hook reads the webhooks of mail providers about mails that came back. It checks their signatures, and makes
// a report of each event in the form that mail servers use (RFC 3464, RFC 5965). So package bounce judges all of them
// alike.
package hook

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Providers are the services that a webhook may come from, by their name in its path.
var Providers = []string{"ses", "postmark", "mailgun", "sendgrid"}

// Hooks holds the secrets that admit the providers. A provider without one is refused.
type Hooks struct {
	SNSTopics        []string         // ARNs of the topics that SES publishes to
	PostmarkPassword string           // of basic authentication; the user name does not matter
	MailgunKey       string           // HTTP webhook signing key
	SendGridKey      *ecdsa.PublicKey // verification key of the signed event webhook
	Client           *http.Client     // fetches Amazon's certificates, and confirms subscriptions; nil: one with a time-out

	mu           sync.Mutex
	certificates map[string]*rsaCertificate // by URL
}

// ErrRefused is wrapped by errors about a request that nothing admits: a wrong signature, or a provider that is not set up.
var ErrRefused = errors.New("refused")

// ErrMalformed is wrapped by errors about a body that can't be read.
var ErrMalformed = errors.New("malformed")

// Read checks a request of a provider and returns a report for each event that tells something about a mail.
func (h *Hooks) Read(ctx context.Context, provider string, header http.Header, body []byte) (reports [][]byte, err error) {
	var events []event
	switch provider {
	case "ses":
		return h.ses(ctx, body)
	case "postmark":
		events, err = h.postmark(header, body)
	case "mailgun":
		events, err = h.mailgun(body)
	case "sendgrid":
		events, err = h.sendgrid(header, body)
	default:
		return nil, fmt.Errorf("%w: there is no such provider", ErrRefused)
	}
	for _, e := range events {
		reports = append(reports, e.report())
	}
	return reports, err
}

// event is one event of a provider, about one mail.
type event struct {
	complaint bool
	action    string // failed, delayed or delivered (RFC 3464 §2.3.3)
	sender    string // envelope sender, where it is told: it may hold a token
	messageID string // of our mail, with or without angle brackets
	to        string
	status    string // RFC 3463
	words     string
	remote    string // the server that said so
	at        time.Time
}

// report writes an event as a mail server would report it.
func (e event) report() []byte {
	var b strings.Builder
	line := func(name, value string) {
		if value = clean(value); value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	part := func(media string) { fmt.Fprintf(&b, "\r\n--report\r\nContent-Type: %s\r\n\r\n", media) }
	line("Delivered-To", e.sender)
	line("Auto-Submitted", "auto-generated")
	line("MIME-Version", "1.0")
	if e.complaint {
		line("Content-Type", `multipart/report; report-type=feedback-report; boundary="report"`)
		part("message/feedback-report")
		line("Feedback-Type", "abuse")
		line("User-Agent", "webhook")
		line("Version", "1")
		line("Original-Rcpt-To", e.to)
	} else {
		line("Content-Type", `multipart/report; report-type=delivery-status; boundary="report"`)
		part("message/delivery-status")
		line("Reporting-MTA", "dns; webhook")
		b.WriteString("\r\n")
		line("Final-Recipient", "rfc822; "+e.to)
		line("Action", e.action)
		line("Status", e.status)
		line("Remote-MTA", prefixed("dns; ", e.remote))
		line("Diagnostic-Code", prefixed("smtp; ", e.words))
		if !e.at.IsZero() {
			line("Last-Attempt-Date", e.at.UTC().Format(time.RFC1123Z))
		}
	}
	part("text/rfc822-headers")
	if e.messageID != "" {
		line("Message-ID", "<"+strings.Trim(e.messageID, "<> ")+">")
	}
	line("To", e.to)
	b.WriteString("\r\n--report--\r\n")
	return []byte(b.String())
}

// mostOf is how much of a value is kept, in bytes.
const mostOf = 1000

// clean leaves a value in one line.
func clean(value string) string {
	value = strings.Join(strings.Fields(value), " ")
	return strings.ToValidUTF8(value[:min(len(value), mostOf)], "")
}

func prefixed(prefix, value string) string {
	if value == "" {
		return ""
	}
	return prefix + value
}
