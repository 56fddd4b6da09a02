package hook

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/internal/bounce"
)

// told gives package bounce's reading of reports, in a word each.
func told(reports [][]byte) string {
	var all []string
	for _, raw := range reports {
		m := bounce.Read(raw)
		text := string(m.Kind)
		for _, r := range m.Recipients {
			text += fmt.Sprintf(" %s %s %s %s", r.Action, r.Class, r.Status, r.Final)
		}
		all = append(all, strings.Join(strings.Fields(text), " ")+" "+m.MessageID+" "+strings.Join(m.SentTo, ","))
	}
	return strings.Join(all, "|")
}

// provider signs bodies as a mail provider does.
type provider struct {
	name   string
	hooks  *Hooks
	signed func(body string) (http.Header, []byte)
	events map[string]string // text of told, by body
}

func providers(t *testing.T) []provider {
	t.Helper()
	return []provider{ofPostmark(), ofMailgun(), ofSendGrid(t), ofSES(t)}
}

func ofPostmark() provider {
	return provider{"postmark", &Hooks{PostmarkPassword: "a secret"}, func(body string) (http.Header, []byte) {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("anybody", "a secret")
		return r.Header, []byte(body)
	}, map[string]string{
		`{"RecordType":"Bounce","Type":"HardBounce","Email":"a@example.com","Details":"smtp;550 5.1.1 unknown user","BouncedAt":"2026-11-20T10:00:00Z","Content":"Received: x\r\nMessage-ID: <n.3@example.net>\r\n"}`: "bounce failed no_such_mailbox 5.1.1 a@example.com <n.3@example.net> ",
		`{"RecordType":"Bounce","Type":"Transient","Email":"a@example.com","Details":"451 try later"}`:                                                                                                                "delay delayed transient 4.0.0 a@example.com  ",
		`{"RecordType":"Bounce","Type":"AutoResponder","Email":"a@example.com"}`:                                                                                                                                      "",
		`{"RecordType":"Delivery","Recipient":"a@example.com","Details":"250 ok","DeliveredAt":"2026-11-20T10:00:00Z"}`:                                                                                               "delivery delivered a@example.com  ",
		`{"RecordType":"SpamComplaint","Email":"a@example.com"}`:                                                                                                                                                      "complaint a@example.com  ",
	}}
}

func ofMailgun() provider {
	const key = "signing key"
	event := func(text string) string { return `{"event-data":` + text + `}` }
	return provider{"mailgun", &Hooks{MailgunKey: key}, func(body string) (http.Header, []byte) {
		sum := hmac.New(sha256.New, []byte(key))
		sum.Write([]byte("1700000000" + "abc"))
		signature := fmt.Sprintf(`{"signature":{"timestamp":"1700000000","token":"abc","signature":"%s"},`, hex.EncodeToString(sum.Sum(nil)))
		return http.Header{}, []byte(signature + body[1:])
	}, map[string]string{
		event(`{"event":"failed","severity":"permanent","recipient":"a@example.com","timestamp":1700000000.5,"envelope":{"sender":"bounces+tok@example.net"},"message":{"headers":{"message-id":"n.3@example.net"}},"delivery-status":{"code":552,"message":"5.2.2 mailbox full","mx-host":"mx.example.com"}}`): "bounce failed full 5.2.2 a@example.com <n.3@example.net> bounces+tok@example.net",
		event(`{"event":"failed","severity":"temporary","recipient":"a@example.com","delivery-status":{"code":451,"message":"busy"}}`):                                                                                                                                                                          "delay delayed transient 4.0.0 a@example.com  ",
		event(`{"event":"failed","severity":"permanent","reason":"suppress-bounce","recipient":"a@example.com"}`):                                                                                                                                                                                               "",
		event(`{"event":"opened","recipient":"a@example.com"}`):                                                            "",
		event(`{"event":"complained","recipient":"a@example.com","message":{"headers":{"message-id":"n.3@example.net"}}}`): "complaint a@example.com <n.3@example.net> ",
	}}
}

func ofSendGrid(t *testing.T) provider {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParseSendGridKey(base64.StdEncoding.EncodeToString(der))
	if err != nil {
		t.Fatal(err)
	}
	return provider{"sendgrid", &Hooks{SendGridKey: public}, func(body string) (http.Header, []byte) {
		sum := sha256.Sum256([]byte("1700000000" + body))
		signature, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set(sendgridTimestamp, "1700000000")
		h.Set(sendgridSignature, base64.StdEncoding.EncodeToString(signature))
		return h, []byte(body)
	}, map[string]string{
		`[{"event":"bounce","type":"bounce","email":"a@example.com","status":"5.1.1","reason":"550 5.1.1 no such user","smtp-id":"<n.3@example.net>","timestamp":1700000000},
			{"event":"bounce","type":"blocked","email":"b@example.com","status":"","reason":"refused","smtp-id":"<n.4@example.net>"},{"event":"dropped","email":"c@example.com"},
			{"event":"spamreport","email":"d@example.com"},{"event":"deferred","email":"e@example.com","response":"451 later"}]`: "bounce failed no_such_mailbox 5.1.1 a@example.com <n.3@example.net> |bounce failed policy 5.7.1 b@example.com <n.4@example.net> |complaint d@example.com  |delay delayed transient e@example.com  ",
	}}
}

// get answers requests as Amazon would.
type get func(url string) string

func (g get) RoundTrip(r *http.Request) (*http.Response, error) {
	body := g(r.URL.String())
	if body == "" {
		return nil, errors.New("there is nothing there")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
}

const (
	topic       = "arn:aws:sns:eu-central-1:123456789012:bounces"
	certificate = "https://sns.eu-central-1.amazonaws.com/cert.pem"
)

// amazon is SNS with a key of its own.
func amazon(t *testing.T) (h *Hooks, sign func(envelope) []byte, confirmed *[]string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	confirmed = new([]string)
	h = &Hooks{SNSTopics: []string{topic}, Client: &http.Client{Transport: get(func(url string) string {
		if url == certificate {
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		}
		*confirmed = append(*confirmed, url)
		return "<ok/>"
	})}}
	return h, func(m envelope) []byte {
		if m.TopicARN == "" {
			m.TopicARN = topic
		}
		if m.SigningCertURL == "" {
			m.SigningCertURL = certificate
		}
		m.SignatureVersion, m.Timestamp = "2", "2026-11-20T10:00:00.000Z"
		sum := sha256.Sum256([]byte(m.signedText()))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		m.Signature = base64.StdEncoding.EncodeToString(signature)
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}, confirmed
}

func ofSES(t *testing.T) provider {
	t.Helper()
	h, sign, _ := amazon(t)
	return provider{"ses", h, func(body string) (http.Header, []byte) {
		return http.Header{}, sign(envelope{Type: "Notification", MessageID: "m", Message: body})
	}, map[string]string{
		`{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"NoEmail","bouncedRecipients":[{"emailAddress":"a@example.com","status":"5.1.1","action":"failed","diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"mail":{"source":"bounces+tok@example.net","headers":[{"name":"Message-ID","value":"<n.3@example.net>"}]}}`: "bounce failed no_such_mailbox 5.1.1 a@example.com <n.3@example.net> bounces+tok@example.net",
		`{"eventType":"Complaint","complaint":{"complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":"a@example.com"}]},"mail":{"source":"bounces+tok@example.net"}}`:                                                                                                                                                                   "complaint a@example.com  bounces+tok@example.net",
	}}
}

func TestEventsAreReadAsReports(t *testing.T) {
	t.Parallel()
	for _, p := range providers(t) {
		for body, want := range p.events {
			header, signed := p.signed(body)
			reports, err := p.hooks.Read(t.Context(), p.name, header, signed)
			if got := told(reports); err != nil || got != want {
				t.Errorf("%s: %s\ntold %q, %v\nwant %q", p.name, body, got, err, want)
			}
		}
	}
}

func TestAnUnsignedEventIsRefused(t *testing.T) {
	t.Parallel()
	for _, p := range providers(t) {
		for body := range p.events {
			header, signed := p.signed(body)
			for name, try := range map[string]func() ([][]byte, error){
				"no secret is set": func() ([][]byte, error) { return (&Hooks{}).Read(t.Context(), p.name, header, signed) },
				"no header":        func() ([][]byte, error) { return p.hooks.Read(t.Context(), p.name, http.Header{}, unsigned(p, body)) },
				"another's address": func() ([][]byte, error) {
					return p.hooks.Read(t.Context(), p.name, changed(p, header), forged(p, signed))
				},
				"an unknown service": func() ([][]byte, error) { return p.hooks.Read(t.Context(), "none", header, signed) },
			} {
				if reports, err := try(); !errors.Is(err, ErrRefused) || len(reports) > 0 {
					t.Errorf("%s, %s: %d reports, %v", p.name, name, len(reports), err)
				}
			}
			break
		}
	}
}

// unsigned is a body without its signature.
func unsigned(p provider, body string) []byte {
	if p.name == "ses" {
		return fmt.Appendf(nil, `{"Type":"Notification","TopicArn":%q,"SigningCertURL":%q,"SignatureVersion":"2","Message":"{}"}`, topic, certificate)
	}
	return []byte(body)
}

// changed and forged are a signed event that somebody changed; the signatures of Postmark and Mailgun are not over the
// event.
func changed(p provider, header http.Header) http.Header {
	if p.name == "postmark" {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("anybody", "a guess")
		return r.Header
	}
	return header
}

func forged(p provider, signed []byte) []byte {
	if p.name == "mailgun" {
		return bytes.Replace(signed, []byte("1700000000"), []byte("1700000001"), 1)
	}
	return bytes.ReplaceAll(signed, []byte("example.com"), []byte("example.org"))
}

func TestASubscriptionIsConfirmedForATopicOfTheSettingsAlone(t *testing.T) {
	t.Parallel()
	h, sign, confirmed := amazon(t)
	const good = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=x"
	for name, m := range map[string]envelope{
		"another topic":       {SubscribeURL: good, TopicARN: "arn:aws:sns:eu-central-1:123456789012:other"},
		"another host":        {SubscribeURL: "https://sns.eu-central-1.amazonaws.com.evil.example/"},
		"plain HTTP":          {SubscribeURL: "http://sns.eu-central-1.amazonaws.com/"},
		"a port":              {SubscribeURL: "https://sns.eu-central-1.amazonaws.com:8443/"},
		"a user":              {SubscribeURL: "https://sns.eu-central-1.amazonaws.com@evil.example/"},
		"certificate of evil": {SubscribeURL: good, SigningCertURL: "https://evil.example/cert.pem"},
	} {
		m.Type, m.Token = "SubscriptionConfirmation", "x"
		if _, err := h.Read(t.Context(), "ses", nil, sign(m)); !errors.Is(err, ErrRefused) || len(*confirmed) > 0 {
			t.Errorf("%s: %v, confirmed %v", name, err, *confirmed)
		}
	}
	m := envelope{Type: "SubscriptionConfirmation", Token: "x", SubscribeURL: good}
	if _, err := h.Read(t.Context(), "ses", nil, sign(m)); err != nil || len(*confirmed) != 1 || (*confirmed)[0] != good {
		t.Errorf("%v, confirmed %v", err, *confirmed)
	}
}

// FuzzEvents has events of anybody's making never be more than the reports that they stand for.
func FuzzEvents(f *testing.F) {
	p := ofMailgun()
	for body := range p.events {
		f.Add(body)
	}
	f.Add(`{"event-data":{"event":"failed","recipient":"a\r\nStatus: 5.1.1\r\n\r\n--report--","delivery-status":{"message":"\n\n--report\nContent-Type: message/delivery-status\n"}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		if body == "" {
			return
		}
		header, signed := p.signed(body)
		reports, err := p.hooks.Read(t.Context(), p.name, header, signed)
		if err != nil {
			return
		}
		for _, raw := range reports {
			if m := bounce.Read(raw); len(m.Recipients) > 1 || m.Kind == bounce.AutoReply {
				t.Errorf("%q is told as %+v", body, m)
			}
		}
	})
}
