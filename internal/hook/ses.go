package hook

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// envelope is a message of Amazon SNS:
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
type envelope struct {
	Type             string
	MessageID        string `json:"MessageId"`
	TopicARN         string `json:"TopicArn"`
	Subject          string
	Message          string
	Timestamp        string
	Token            string
	SubscribeURL     string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
}

// ses reads a notification that SES has published to a topic. A subscription to a topic of the settings is confirmed.
func (h *Hooks) ses(ctx context.Context, body []byte) ([][]byte, error) {
	var m envelope
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("%w: it is no message of SNS: %w", ErrMalformed, err)
	}
	if !slices.Contains(h.SNSTopics, m.TopicARN) {
		return nil, fmt.Errorf("%w: the topic is none of the settings", ErrRefused)
	}
	if err := h.signed(ctx, m); err != nil {
		return nil, err
	}
	switch m.Type {
	case "SubscriptionConfirmation":
		return nil, h.confirm(ctx, m.SubscribeURL)
	case "Notification":
	default:
		return nil, nil
	}
	var n struct {
		Mail struct {
			Source string `json:"source"`
		} `json:"mail"`
	}
	if err := json.Unmarshal([]byte(m.Message), &n); err != nil {
		return nil, fmt.Errorf("%w: the message is no event of SES: %w", ErrMalformed, err)
	}
	// Package bounce reads such a notification, since SES sends it by mail too.
	report := "Delivered-To: " + clean(n.Mail.Source) + "\r\nAuto-Submitted: auto-generated\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + m.Message
	return [][]byte{[]byte(report)}, nil
}

// snsHost is a host of Amazon SNS: certificates and confirmations are there and nowhere else.
var snsHost = regexp.MustCompile(`^sns\.[a-z0-9-]{3,40}\.amazonaws\.com(\.cn)?$`)

// ofAmazon checks that a URL leads to Amazon SNS.
func ofAmazon(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Port() != "" || u.User != nil || !snsHost.MatchString(u.Host) {
		return fmt.Errorf("%w: a URL in it does not lead to sns.<region>.amazonaws.com", ErrRefused)
	}
	return nil
}

// rsaCertificate is a certificate that SNS signs with.
type rsaCertificate struct {
	key     *rsa.PublicKey
	expires time.Time
}

// signed checks the signature of a message:
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
func (h *Hooks) signed(ctx context.Context, m envelope) error {
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		return fmt.Errorf("%w: the signature is no base64", ErrRefused)
	}
	certificate, err := h.certificate(ctx, m.SigningCertURL)
	if err != nil {
		return err
	}
	text := []byte(m.signedText())
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(text)
		err = rsa.VerifyPKCS1v15(certificate.key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(certificate.key, crypto.SHA256, sum[:], signature)
	default:
		err = fmt.Errorf("version %q is not known", m.SignatureVersion)
	}
	if err != nil {
		return fmt.Errorf("%w: the signature is wrong: %w", ErrRefused, err)
	}
	return nil
}

// signedText is the text that SNS signs: names and values of some fields, each in a line of its own.
func (m envelope) signedText() string {
	fields := [][2]string{{"Message", m.Message}, {"MessageId", m.MessageID}}
	if m.Type == "Notification" {
		if m.Subject != "" {
			fields = append(fields, [2]string{"Subject", m.Subject})
		}
		fields = append(fields, [2]string{"Timestamp", m.Timestamp})
	} else {
		fields = append(fields, [2]string{"SubscribeURL", m.SubscribeURL}, [2]string{"Timestamp", m.Timestamp}, [2]string{"Token", m.Token})
	}
	fields = append(fields, [2]string{"TopicArn", m.TopicARN}, [2]string{"Type", m.Type})
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f[0] + "\n" + f[1] + "\n")
	}
	return b.String()
}

// certificate returns the certificate at a URL of Amazon, and keeps it.
func (h *Hooks) certificate(ctx context.Context, raw string) (*rsaCertificate, error) {
	if err := ofAmazon(raw); err != nil {
		return nil, err
	}
	h.mu.Lock()
	known := h.certificates[raw]
	h.mu.Unlock()
	if known != nil && time.Now().Before(known.expires) {
		return known, nil
	}
	text, err := h.get(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("fetch the certificate of SNS: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: the certificate is no PEM", ErrRefused)
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: the certificate of SNS: %w", ErrRefused, err)
	}
	key, ok := parsed.PublicKey.(*rsa.PublicKey)
	if !ok || time.Now().After(parsed.NotAfter) {
		return nil, fmt.Errorf("%w: the certificate of SNS has expired, or holds no RSA key", ErrRefused)
	}
	c := &rsaCertificate{key, parsed.NotAfter}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.certificates == nil || len(h.certificates) > 20 {
		h.certificates = map[string]*rsaCertificate{}
	}
	h.certificates[raw] = c
	return c, nil
}

// confirm confirms a subscription.
func (h *Hooks) confirm(ctx context.Context, raw string) error {
	if err := ofAmazon(raw); err != nil {
		return err
	}
	if _, err := h.get(ctx, raw); err != nil {
		return fmt.Errorf("confirm the subscription: %w", err)
	}
	return nil
}

// get fetches a small document. It follows no redirect: one could lead elsewhere.
func (h *Hooks) get(ctx context.Context, raw string) ([]byte, error) {
	client := h.Client
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 64<<10))
}
