package bounce

import (
	"encoding/json"
	"strings"
	"time"
)

// complains reports whether the mail is a complaint: a feedback report, or one of Microsoft's, which have none.
func (l *letter) complains() bool {
	return l.feedback != "" && l.machine() ||
		l.enclosed && strings.HasPrefix(fold(l.header.get("Subject")), "complaint about message from") && !l.mailer()
}

// readFeedback reads a message/feedback-report (RFC 5965 §3).
func (m *Mail) readFeedback(l *letter) {
	h, _ := readHeader([]byte(strings.TrimLeft(l.feedback, "\n")))
	m.Kind = Complaint
	if m.Feedback = strings.ToLower(h.get("Feedback-Type")); m.Feedback == "" {
		m.Feedback = "abuse"
	}
	m.EnvelopeID = h.get("Original-Envelope-Id")
	m.ReportingMTA = typed(h.get("Reporting-MTA"))
	if m.Arrival = date(h.get("Arrival-Date")); m.Arrival.IsZero() {
		m.Arrival = date(h.get("Received-Date"))
	}
	for _, name := range []string{"Original-Rcpt-To", "Removal-Recipient"} {
		for _, value := range h.all(name) {
			if len(m.Recipients) < maxRecipients {
				m.Recipients = append(m.Recipients, Recipient{Final: reported(value)})
			}
		}
	}
	if len(m.Recipients) == 0 {
		m.complainer(l)
	}
}

// complainer takes the recipients of a complaint from the mail that it is about: many reports leave them out.
func (m *Mail) complainer(l *letter) {
	for _, name := range []string{"X-HmXmrOriginalRecipient", "X-Original-To", "Delivered-To", "To"} {
		if address := first(addresses(l.returned.get(name))); address != "" {
			m.Recipients = append(m.Recipients, Recipient{Final: address})
			return
		}
	}
}

// notification is a report of Amazon SES in JSON
// (https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html).
type notification struct {
	Type      string `json:"notificationType"`
	EventType string `json:"eventType"`
	Bounce    struct {
		Type       string `json:"bounceType"`
		SubType    string `json:"bounceSubType"`
		Timestamp  string `json:"timestamp"`
		MTA        string `json:"reportingMTA"`
		Recipients []struct {
			Address    string `json:"emailAddress"`
			Action     string `json:"action"`
			Status     string `json:"status"`
			Diagnostic string `json:"diagnosticCode"`
		} `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint struct {
		Feedback   string `json:"complaintFeedbackType"`
		Timestamp  string `json:"timestamp"`
		Recipients []struct {
			Address string `json:"emailAddress"`
		} `json:"complainedRecipients"`
	} `json:"complaint"`
	Delivery struct {
		Timestamp  string   `json:"timestamp"`
		Recipients []string `json:"recipients"`
		Response   string   `json:"smtpResponse"`
		MTA        string   `json:"reportingMTA"`
	} `json:"delivery"`
	Mail struct {
		Headers []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"headers"`
	} `json:"mail"`
}

// readNotification reads a mail that holds a notification of Amazon SES. It returns false where it holds none.
func (m *Mail) readNotification(l *letter) bool {
	at := strings.Index(l.words, "{")
	if at < 0 || !strings.Contains(cut(l.words[at:], 200), `"notificationType"`) && !strings.Contains(cut(l.words[at:], 200), `"eventType"`) {
		return false
	}
	var n notification
	// Mail breaks long lines; a line end within a text would not be JSON.
	document := strings.NewReplacer("\n ", "", "\n", "").Replace(l.words[at:])
	if err := json.NewDecoder(strings.NewReader(document)).Decode(&n); err != nil {
		return false
	}
	for _, f := range n.Mail.Headers {
		if len(l.returned) < maxFields {
			l.returned = append(l.returned, field{f.Name, f.Value})
		}
	}
	switch n.Type + n.EventType {
	case "Bounce":
		m.Kind, m.ReportingMTA = Bounce, typed(n.Bounce.MTA)
		for _, r := range n.Bounce.Recipients {
			m.Recipients = append(m.Recipients, Recipient{
				Final: r.Address, Action: Failed, Status: findStatus(r.Status), Diagnostic: cutText(typed(r.Diagnostic), maxDiagnostic),
				At: stamp(n.Bounce.Timestamp), comment: n.Bounce.Type + " " + n.Bounce.SubType,
			})
		}
	case "Complaint":
		m.Kind, m.Feedback = Complaint, strings.ToLower(n.Complaint.Feedback)
		for _, r := range n.Complaint.Recipients {
			m.Recipients = append(m.Recipients, Recipient{Final: r.Address, At: stamp(n.Complaint.Timestamp)})
		}
	case "Delivery":
		m.Kind, m.ReportingMTA = Delivery, typed(n.Delivery.MTA)
		for _, address := range n.Delivery.Recipients {
			m.Recipients = append(m.Recipients, Recipient{
				Final: address, Action: Delivered, Diagnostic: cutText(n.Delivery.Response, maxDiagnostic), At: stamp(n.Delivery.Timestamp),
			})
		}
	default:
		return false
	}
	m.Recipients = m.Recipients[:min(len(m.Recipients), maxRecipients)]
	return true
}

// stamp reads a time of RFC 3339; the zero time if it is none.
func stamp(value string) time.Time {
	t, _ := time.Parse(time.RFC3339, value)
	return t.UTC()
}
