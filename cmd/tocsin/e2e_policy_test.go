package main

import (
	"fmt"
	"strings"
	"testing"

	"tocsin/internal/sink"
)

// arf is a reader's complaint (RFC 5965), as a provider sends it to an address.
func arf(to, returned string) []byte {
	return []byte(strings.ReplaceAll(fmt.Sprintf(`From: feedback@mail.example.com
To: %s
Subject: Abuse report
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

A reader calls this spam.

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Provider/1.0
Version: 1

--b
Content-Type: text/rfc822-headers

%s

--b--
`, to, returned), "\n", "\r\n"))
}

// outOfOffice is an automatic reply (RFC 3834).
func outOfOffice(to string) []byte {
	return []byte("From: c1@example.com\r\nTo: " + to + "\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nI am away: 550 5.1.1 is my room.\r\n")
}

// TestADomainRefusesByPolicyAndReadersComplain says so in log, status, report and metrics, counts each report once, and
// suppresses nobody for a refusal by policy. An automatic reply, a forged token and a complaint that names no mail
// change nothing.
func TestADomainRefusesByPolicyAndReadersComplain(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_RETURN_PATH=bounces@returns.example.net")
	s.customers(60)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	mails := s.sink.Mails()
	take := func(raw []byte, want string) {
		t.Helper()
		r, err := s.client().TakeBounce(t.Context(), raw)
		got := fmt.Sprint(r.Kind)
		if r.Effect != nil {
			got += fmt.Sprintf(" changed=%t repeated=%t suppressed=%t warned=%t", r.Effect.Changed, r.Effect.Repeated, r.Effect.Suppressed, r.Effect.Warned)
		}
		if err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	policy := func(m sink.Mail) []byte {
		return dsn(m.MailFrom, "5.7.26", "550 5.7.26 unauthenticated mail is refused", "Subject: x")
	}
	for i := range 3 { // 5 % of 60
		take(policy(mails[i]), "bounce changed=true repeated=false suppressed=false warned=false")
	}
	take(policy(mails[2]), "bounce changed=false repeated=true suppressed=false warned=false")
	take(policy(mails[3]), "bounce changed=true repeated=false suppressed=false warned=true")
	take(policy(mails[4]), "bounce changed=true repeated=false suppressed=false warned=false")
	take(dsn(mails[5].MailFrom, "5.2.2", "552 5.2.2 mailbox full", "Subject: x"), "bounce changed=true repeated=false suppressed=false warned=false")
	take(outOfOffice(mails[6].MailFrom), "auto_reply changed=false repeated=false suppressed=false warned=false")
	take(arf("abuse@example.net", "Subject: x"), "complaint")
	take(arf(mails[7].MailFrom, "Subject: x"), "complaint changed=false repeated=false suppressed=true warned=false")
	take(arf(mails[7].MailFrom, "Subject: x"), "complaint changed=false repeated=true suppressed=false warned=false")
	take(dsn(strings.Replace(mails[8].MailFrom, "+", "+a", 1), "5.7.1", "550 5.7.1 no", "Subject: x"), "bounce")

	st := s.status("outage-1")
	if st.Counts["bounced"] != 6 || st.Counts["sent"] != 54 || st.Bounces.ByClass["policy"] != 5 || st.Bounces.ByClass["full"] != 1 || st.Bounces.Percent != 10 ||
		st.Bounces.Complaints != 1 || fmt.Sprint(st.Bounces.PolicyDomains) != "[example.com]" {
		t.Errorf("%v, %+v", st.Counts, st.Bounces)
	}
	for command, lines := range map[string][]string{
		"notice status outage-1":        {"Came back 6 (10.0 %) policy 5 full 1 Complaints 1 Refused by policy more than 5 % of the mails to example.com"},
		"report outage-1":               {"Came back: 6 (10.0 %): 5 policy, 1 full. Complaints: 1.", "example.com 60 6 1 5 policy, 1 full"},
		"report --incident outage-1":    {"Came back: 6 (10.0 %): 5 policy, 1 full. Complaints: 1."},
		"acts --what warn":              {"4 of 60 mails to example.com came back, refused by policy"},
		"acts --what complaint":         {"complaint outage-1: by a reader of delivery"},
		"report outage-1 --format json": {`"bounces":{"bounced":6,"percent":10,"by_class":{"full":1,"no_such_mailbox":0,"other":0,"policy":5,"transient":0},"complaints":1,"policy_domains":["example.com"],"by_domain":[{"domain":"example.com","mails":60`},
	} {
		out, errs, code := s.run(strings.Fields(command)...)
		if code != 0 {
			t.Errorf("tocsin %s: exit %d: %s", command, code, errs)
		}
		for _, line := range lines {
			if n := strings.Count(strings.Join(strings.Fields(out), " "), line); n != 1 {
				t.Errorf("tocsin %s has %d times %q:\n%s", command, n, line, out)
			}
		}
	}
	told := get(t, "http://"+s.address()+"/metrics", "s3cret")
	for _, line := range []string{`tocsin_returned_total{class="policy",kind="bounce"} 5`, `tocsin_returned_total{class="full",kind="bounce"} 1`,
		`tocsin_returned_total{class="",kind="complaint"} 1`, `tocsin_returned_total{class="",kind="auto_reply"} 1`, `tocsin_returned_total{class="",kind="unknown"} 2`,
		"tocsin_policy_domains 1"} {
		if !strings.Contains(told, "\n"+line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}
