package hook

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"strconv"
	"strings"
	"time"
)

// postmark reads an event of Postmark: https://postmarkapp.com/developer/webhooks/bounce-webhook. The event names our mail
// where the webhook includes the content of bounces.
func (h *Hooks) postmark(header http.Header, body []byte) ([]event, error) {
	_, password, _ := (&http.Request{Header: header}).BasicAuth()
	if h.PostmarkPassword == "" || subtle.ConstantTimeCompare([]byte(password), []byte(h.PostmarkPassword)) == 0 {
		return nil, fmt.Errorf("%w: the password is wrong", ErrRefused)
	}
	var p struct {
		RecordType, Type, Email, Recipient, Details, Description, Content string
		BouncedAt, DeliveredAt                                            time.Time
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	e := event{to: p.Email + p.Recipient, words: clean(p.Details + " " + p.Description), at: p.BouncedAt, messageID: returnedID(p.Content)}
	switch {
	case p.RecordType == "SpamComplaint" || p.Type == "SpamComplaint":
		e.complaint = true
	case p.RecordType == "Delivery":
		e.action, e.at = "delivered", p.DeliveredAt
	case p.RecordType != "Bounce" || p.Type == "AutoResponder" || p.Type == "OpenRelayTest" || p.Type == "Subscribe" || p.Type == "Unsubscribe":
		return nil, nil
	case p.Type == "Transient" || p.Type == "SMTPApiError":
		e.action, e.status = "delayed", "4.0.0"
	case p.Type == "HardBounce" || p.Type == "BadEmailAddress":
		e.action, e.status = "failed", "5.1.1"
	case p.Type == "Blocked" || p.Type == "SpamNotification" || p.Type == "DMARCPolicy" || p.Type == "VirusNotification":
		e.action, e.status = "failed", "5.7.1"
	default:
		e.action, e.status = "failed", "5.0.0"
	}
	return []event{e}, nil
}

// returnedID finds the Message-ID in the header of a mail that a bounce repeats.
func returnedID(content string) (id string) {
	for line := range strings.Lines(content) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(name), "Message-ID") {
			id = strings.TrimSpace(value) // the last is that of the mail that is repeated
		}
	}
	return id
}

// mailgun reads an event of Mailgun: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
func (h *Hooks) mailgun(body []byte) ([]event, error) {
	var p struct {
		Signature struct{ Timestamp, Token, Signature string }
		Event     struct {
			Event, Severity, Reason, Recipient string
			Timestamp                          float64
			Envelope                           struct{ Sender string }
			Message                            struct {
				Headers map[string]string
			}
			Status struct {
				Code                 int
				Enhanced             string `json:"enhanced-code"`
				Message, Description string
				Host                 string `json:"mx-host"`
			} `json:"delivery-status"`
		} `json:"event-data"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	sum := hmac.New(sha256.New, []byte(h.MailgunKey))
	sum.Write([]byte(p.Signature.Timestamp + p.Signature.Token))
	said, err := hex.DecodeString(p.Signature.Signature)
	if h.MailgunKey == "" || err != nil || !hmac.Equal(said, sum.Sum(nil)) {
		return nil, fmt.Errorf("%w: the signature is wrong", ErrRefused)
	}
	d := p.Event
	e := event{sender: d.Envelope.Sender, messageID: d.Message.Headers["message-id"], to: d.Recipient, status: d.Status.Enhanced, remote: d.Status.Host,
		words: reply(d.Status.Code, d.Status.Enhanced, d.Status.Message+" "+d.Status.Description), at: time.Unix(int64(d.Timestamp), 0)}
	switch d.Event {
	case "complained":
		e.complaint = true
	case "delivered":
		e.action = "delivered"
	case "failed", "permanent_fail", "temporary_fail":
		e.action = "failed"
		if d.Severity == "temporary" || d.Event == "temporary_fail" {
			e.action = "delayed"
		}
		if e.status == "" {
			e.status = map[string]string{"failed": "5.0.0", "delayed": "4.0.0"}[e.action]
		}
		if strings.HasPrefix(d.Reason, "suppress-") {
			return nil, nil // Mailgun did not send it, and tells nothing new
		}
	default:
		return nil, nil
	}
	return []event{e}, nil
}

// reply writes a reply as SMTP has it.
func reply(code int, enhanced, words string) string {
	if code < 400 || strings.HasPrefix(strings.TrimSpace(words), strconv.Itoa(code)) {
		return words
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%d %s %s", code, enhanced, words)), " ")
}

// The headers of SendGrid's signed events: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
const (
	sendgridSignature = "X-Twilio-Email-Event-Webhook-Signature"
	sendgridTimestamp = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// ParseSendGridKey reads the verification key that SendGrid shows: base64 of a public key of ECDSA.
func ParseSendGridKey(text string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("is no base64")
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	key, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok {
		return nil, errors.New("is no public key of ECDSA")
	}
	return key, nil
}

// sendgrid reads the events of SendGrid.
func (h *Hooks) sendgrid(header http.Header, body []byte) (all []event, err error) {
	signature, err := base64.StdEncoding.DecodeString(header.Get(sendgridSignature))
	sum := sha256.Sum256(append([]byte(header.Get(sendgridTimestamp)), body...))
	if h.SendGridKey == nil || err != nil || !ecdsa.VerifyASN1(h.SendGridKey, sum[:], signature) {
		return nil, fmt.Errorf("%w: the signature is wrong", ErrRefused)
	}
	var events []struct {
		Email, Event, Status, Reason, Response, Type string
		Timestamp                                    int64
		SMTPID                                       string `json:"smtp-id"`
	}
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for _, p := range events {
		e := event{messageID: p.SMTPID, to: p.Email, status: p.Status, words: p.Reason + p.Response, at: time.Unix(p.Timestamp, 0)}
		switch {
		case p.Event == "spamreport":
			e.complaint = true
		case p.Event == "delivered":
			e.action = "delivered"
		case p.Event == "deferred":
			e.action = "delayed"
		case p.Event == "bounce":
			e.action = "failed"
			if p.Type == "blocked" && !strings.HasPrefix(e.status, "5.1") && !strings.HasPrefix(e.status, "5.2") {
				e.status = "5.7.1"
			}
		default: // also "dropped": SendGrid did not send it, and tells nothing new
			continue
		}
		if _, err := mail.ParseAddress(e.to); err == nil {
			all = append(all, e)
		}
	}
	return all, nil
}
