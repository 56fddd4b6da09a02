package bounce

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/internal/notice"
)

// returned is the header of the notice that came back.
const returned = `Received: from worker.example.net by relay.example.net; Thu, 26 Nov 2026 03:14:07 +0000
Message-ID: <a1b2.7@status.example.net>
From: Example Status <status@example.net>
To: ann@example.org
Subject: Maintenance tonight

`

// dsn returns a multipart/report with these fields.
func dsn(fields string) string {
	return `Return-Path: <>
Delivered-To: bounces+token@status.example.net
From: Mail Delivery System <MAILER-DAEMON@mx.example.org>
To: bounces+token@status.example.net
Subject: Delivery report
Content-Type: multipart/report; report-type=delivery-status; boundary="=_x"

--=_x
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.org.
--=_x
Content-Type: message/delivery-status

` + fields + `
--=_x
Content-Type: message/rfc822

` + returned + "--=_x--\n"
}

func TestReports(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 3, 14, 8, 0, time.UTC)
	for name, c := range map[string]struct {
		fields string
		want   Mail
	}{
		"a failure": {
			`Reporting-MTA: dns; relay.example.net
Original-Envelope-Id: n12.s7
Arrival-Date: Thu, 26 Nov 2026 04:14:08 +0100 (CET)

Original-Recipient: rfc822;Ann@example.org
Final-Recipient: rfc822;ann@example.org
Action: failed
Status: 5.0.0
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 <ann@example.org>: User
 unknown
Last-Attempt-Date: Thu, 26 Nov 2026 03:14:08 +0000
`,
			Mail{Kind: Bounce, EnvelopeID: "n12.s7", ReportingMTA: "relay.example.net", Arrival: at, Recipients: []Recipient{{
				Final: "ann@example.org", Original: "Ann@example.org", Action: Failed, Status: "5.1.1", Code: 550,
				Diagnostic: "550 5.1.1 <ann@example.org>: User unknown", RemoteMTA: "mx.example.org", At: at, Class: notice.BounceNoMailbox,
			}}},
		},
		"a delay": {
			"Reporting-MTA: dns; relay.example.net\n\nFinal-Recipient: rfc822; ann@example.org\nAction: delayed\nStatus: 4.4.1\nDiagnostic-Code: smtp; connect to mx.example.org: timed out\n",
			Mail{Kind: Delay, ReportingMTA: "relay.example.net", Recipients: []Recipient{{
				Final: "ann@example.org", Action: Delayed, Status: "4.4.1", Diagnostic: "connect to mx.example.org: timed out", Class: notice.BounceTransient,
			}}},
		},
		"a delivery": {
			"Reporting-MTA: dns; relay.example.net\n\nFinal-Recipient: rfc822; ann@example.org\nAction: delivered\nStatus: 2.0.0\nRemote-MTA: dns; mx.example.org\n",
			Mail{Kind: Delivery, ReportingMTA: "relay.example.net", Recipients: []Recipient{{Final: "ann@example.org", Action: Delivered, Status: "2.0.0", RemoteMTA: "mx.example.org"}}},
		},
		"relayed": {
			"Reporting-MTA: dns; relay.example.net\n\nFinal-Recipient: rfc822; ann@example.org\nAction: relayed (to a system without reports)\nStatus: 2.0.0\n",
			Mail{Kind: Delivery, ReportingMTA: "relay.example.net", Recipients: []Recipient{{Final: "ann@example.org", Action: Relayed, Status: "2.0.0"}}},
		},
		"several, the worst counts": {
			"Reporting-MTA: dns; relay.example.net\n\nFinal-Recipient: rfc822; ann@example.org\nAction: delayed\nStatus: 4.2.2\n\nFinal-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.2.2\n",
			Mail{Kind: Bounce, ReportingMTA: "relay.example.net", Recipients: []Recipient{
				{Final: "ann@example.org", Action: Delayed, Status: "4.2.2", Class: notice.BounceFull},
				{Final: "bob@example.org", Action: Failed, Status: "5.2.2", Class: notice.BounceFull},
			}},
		},
		"no blank line, no action": {
			"Reporting-MTA: dns; relay.example.net\nFinal-Recipient: rfc822; <ann@example.org>\nStatus: 5.7.1 (denied by policy)\nFinal-Recipient: rfc822; bob@example.org\nStatus: 5.1.2\n",
			Mail{Kind: Bounce, ReportingMTA: "relay.example.net", Recipients: []Recipient{
				{Final: "ann@example.org", Action: Failed, Status: "5.7.1", Class: notice.BouncePolicy},
				{Final: "bob@example.org", Action: Failed, Status: "5.1.2", Class: notice.BounceNoMailbox},
			}},
		},
		"an address beyond ASCII (RFC 6533)": {
			"Reporting-MTA: dns; relay.example.net\n\nFinal-Recipient: utf-8; \\x{4E95}\\x{4E0A}@example.org\nAction: failed\nStatus: 5.6.7\n",
			Mail{Kind: Bounce, ReportingMTA: "relay.example.net", Recipients: []Recipient{{Final: "井上@example.org", Action: Failed, Status: "5.6.7", Class: notice.BounceOther}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.MessageID = "<a1b2.7@status.example.net>"
			c.want.SentTo = []string{"bounces+token@status.example.net"}
			for _, raw := range [][]byte{[]byte(dsn(c.fields)), crlf(dsn(c.fields))} {
				if diff := cmp.Diff(c.want, Read(raw), cmpopts.IgnoreUnexported(Recipient{})); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
}

func TestBouncesInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file  string // in testdata
		kind  notice.BounceKind
		class notice.BounceClass
		code  int
		said  string // in the diagnostic
	}{
		{"a-boundary-that-is-never-used", Bounce, notice.BounceNoMailbox, 0, ""},
		{"a-refused-sender", Bounce, notice.BouncePolicy, 550, "unknown user"},
		{"domino", Bounce, notice.BounceNoMailbox, 0, "not listed"},
		{"exchange-2003", Bounce, notice.BounceNoMailbox, 0, "not recognized"},
		{"exim", Bounce, notice.BounceFull, 552, "over its quota"},
		{"exim-delayed", Delay, notice.BounceTransient, 0, "Connection timed out"},
		{"french", Bounce, notice.BounceFull, 0, "pleine"},
		{"gmail-in-german", Bounce, notice.BounceNoMailbox, 0, "nicht gefunden"},
		{"japanese-in-iso-2022-jp", Bounce, notice.BounceNoMailbox, 0, "宛先不明"},
		{"office-365-html-alone", Bounce, notice.BounceNoMailbox, 550, "RecipientNotFound"},
		{"postfix-in-old-form", Bounce, notice.BouncePolicy, 554, "blocked"},
		{"qmail", Bounce, notice.BounceNoMailbox, 550, "no mailbox here"},
		{"qmail-without-a-host", Bounce, notice.BounceNoMailbox, 0, "any host"},
		{"sendmail", Bounce, notice.BounceNoMailbox, 550, "User unknown"},
		{"spanish", Bounce, notice.BounceNoMailbox, 0, "no existe"},
		{"yahoo", Bounce, notice.BouncePolicy, 554, "policy reasons"},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join("testdata", c.file+".eml"))
			if err != nil {
				t.Fatal(err)
			}
			m := Read(crlf(string(raw)))
			if m.Kind != c.kind || len(m.Recipients) != 1 {
				t.Fatalf("it is %s with %d recipients: %+v", m.Kind, len(m.Recipients), m)
			}
			r := m.Recipients[0]
			if r.Final != "ann@example.org" || r.Class != c.class || r.Code != c.code || !strings.Contains(r.Diagnostic, c.said) {
				t.Errorf("got %+v, want class %s, code %d, and %q", r, c.class, c.code, c.said)
			}
			if bytes.Contains(raw, []byte("<a1b2.7@status.example.net>")) && m.MessageID != "<a1b2.7@status.example.net>" {
				t.Errorf("the Message-ID of the returned mail is %q", m.MessageID)
			}
			if lf := Read(raw); !cmp.Equal(m, lf, cmpopts.IgnoreUnexported(Recipient{})) {
				t.Errorf("with line feeds alone it is read as %+v", lf)
			}
		})
	}
}

// report of feedback, with its fields.
func arf(fields string) string {
	return "From: fbl@example.org\nTo: bounces+token@status.example.net\nSubject: Complaint\nContent-Type: multipart/report; report-type=feedback-report; boundary=f\n\n--f\nContent-Type: text/plain\n\nThis is a report.\n--f\nContent-Type: message/feedback-report\n\n" + fields + "\n--f\nContent-Type: message/rfc822\n\n" + returned + "--f--\n"
}

func TestComplaints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, feedback, recipient string
		complains                 bool
	}{
		"abuse":                    {arf("Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\nOriginal-Rcpt-To: <ann@example.org>\n"), "abuse", "ann@example.org", true},
		"no recipient":             {arf("Feedback-Type: abuse\nVersion: 1\n"), "abuse", "ann@example.org", true},
		"opt out":                  {arf("Feedback-Type: opt-out\nRemoval-Recipient: ann@example.org\n"), "opt-out", "ann@example.org", true},
		"a failed authentication":  {arf("Feedback-Type: auth-failure\nAuth-Failure: dmarc\nOriginal-Rcpt-To: ann@example.org\n"), "auth-failure", "ann@example.org", false},
		"not spam":                 {arf("Feedback-Type: not-spam\nOriginal-Rcpt-To: ann@example.org\n"), "not-spam", "ann@example.org", false},
		"Microsoft's":              {"From: <staff@hotmail.com>\nSubject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; boundary=h\n\n--h\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: ann@example.org\n" + returned + "--h--\n", "abuse", "ann@example.org", true},
		"a notification of Amazon": {"From: no-reply@sns.amazonaws.com\nSubject: AWS Notification Message\n\n{\"notificationType\":\"Complaint\",\"complaint\":{\"complainedRecipients\":[{\"emailAddress\":\"ann@example.org\"}],\"complaintFeedbackType\":\"abuse\"},\"mail\":{\"headers\":[{\"name\":\"Message-ID\",\"value\":\"<a1b2.7@status.example.net>\"}]}}\n", "abuse", "ann@example.org", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := Read(crlf(c.text))
			if m.Kind != Complaint || m.Feedback != c.feedback || m.Complains() != c.complains || len(m.Recipients) != 1 || m.Recipients[0].Final != c.recipient || m.MessageID != "<a1b2.7@status.example.net>" {
				t.Errorf("got %+v", m)
			}
		})
	}
}
