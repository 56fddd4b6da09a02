package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// dsn is a delivery status notification (RFC 3464), as Postfix writes one.
func dsn(to, status, words, returned string) []byte {
	return []byte(strings.ReplaceAll(fmt.Sprintf(`From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: %s
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not arrive.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; customer@example.com
Action: failed
Status: %s
Remote-MTA: dns; mail.example.com
Diagnostic-Code: smtp; %s

--b
Content-Type: text/rfc822-headers

%s

--b--
`, to, status, words, returned), "\n", "\r\n"))
}

// TestABounceIsKnownByItsToken has mails come back to the envelope sender that each of them had.
func TestABounceIsKnownByItsToken(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_RETURN_PATH=bounces@returns.example.net")
	s.customers(6)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	mails := s.sink.Mails()
	const dead, unsaid, forged, old = 0, 1, 2, 3
	for _, m := range mails {
		if local, domain, _ := strings.Cut(m.MailFrom, "@"); !strings.HasPrefix(local, "bounces+") || len(local) > 64 || domain != "returns.example.net" {
			t.Fatalf("the envelope sender is %q", m.MailFrom)
		}
	}
	c, ctx := s.client(), t.Context()
	take := func(raw []byte, want string) {
		t.Helper()
		r, err := c.TakeBounce(ctx, raw)
		got := fmt.Sprintf("%s %s %s", r.Kind, r.Class, r.MatchedBy)
		if r.Effect != nil {
			got += fmt.Sprintf(" %s changed=%t suppressed=%t", r.Effect.State, r.Effect.Changed, r.Effect.Suppressed)
		}
		if err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	take(dsn(mails[dead].MailFrom, "5.1.1", "550 5.1.1 no such user", "Subject: x"), "bounce no_such_mailbox token bounced changed=true suppressed=true")
	take(dsn(mails[dead].MailFrom, "5.1.1", "550 5.1.1 no such user", "Subject: x"), "bounce no_such_mailbox token bounced changed=false suppressed=false")
	// A token that somebody made up, or changed, settles nothing, and neither does an address.
	from := mails[forged].MailFrom
	letter := map[bool]string{true: "b", false: "a"}[from[len("bounces+")+9] == 'a']
	changed := from[:len("bounces+")+9] + letter + from[len("bounces+")+10:]
	take(dsn(changed, "5.1.1", "550 5.1.1 no such user", "Subject: x"), "bounce no_such_mailbox ")
	take(dsn("status@example.net", "5.1.1", "550 5.1.1 no such user", "To: "+mails[forged].RcptTo[0]), "bounce no_such_mailbox ")
	// A bounce with a report that names the mail and its mailbox is known by these.
	raw := string(dsn("status@example.net", "5.7.1", "550 5.7.1 blocked by policy", "Message-ID: "+mails[unsaid].MessageID))
	take([]byte(raw), "bounce policy ")
	take([]byte(strings.ReplaceAll(raw, "customer@example.com", mails[unsaid].RcptTo[0])), "bounce policy message_id bounced changed=true suppressed=false")
	take([]byte(strings.ReplaceAll(raw, mails[unsaid].MessageID, mails[old].MessageID)), "bounce policy ")

	st := s.status("outage-1")
	if st.Counts["bounced"] != 2 || st.Counts["sent"] != len(mails)-2 || st.State != notice.Sent {
		t.Errorf("%s, %v", st.State, st.Counts)
	}
	reasons := map[string]int{}
	for _, d := range s.report("outage-1") {
		reasons[d.State.String()+" "+d.Reason]++
	}
	if reasons["bounced no_such_mailbox"] != 1 || reasons["bounced policy"] != 1 {
		t.Errorf("the report says %v", reasons)
	}
	list, err := c.Suppressions(ctx)
	if err != nil || len(list) != 1 || list[0].Reason != notice.SuppressedBounced || list[0].AddedBy != notice.System {
		t.Errorf("suppressed: %+v", list)
	}
}

// TestAProviderSaysThatAMailCameBack has a webhook of Mailgun tell of a mail that was sent.
func TestAProviderSaysThatAMailCameBack(t *testing.T) {
	t.Parallel()
	public := freeAddress(t)
	s := start(t, "TOCSIN_RETURN_PATH=bounces@returns.example.net", "TOCSIN_PUBLIC_LISTEN="+public, "TOCSIN_MAILGUN_KEY=key-1")
	s.customers(3)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	var m sink.Mail
	for _, all := range s.delivered() {
		m = all[0]
	}
	post := func(key string) int {
		t.Helper()
		sum := hmac.New(sha256.New, []byte(key))
		sum.Write([]byte("1700000000abc"))
		body := fmt.Sprintf(`{"signature":{"timestamp":"1700000000","token":"abc","signature":%q},"event-data":{"event":"failed","severity":"permanent",
			"recipient":%q,"envelope":{"sender":%q},"delivery-status":{"code":550,"message":"5.1.1 no such user"}}}`,
			hex.EncodeToString(sum.Sum(nil)), m.RcptTo[0], m.MailFrom)
		resp, err := http.Post("http://"+public+"/hooks/mailgun", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("key-2"); got != http.StatusForbidden || s.status("outage-1").Counts["bounced"] != 0 {
		t.Errorf("a wrong signature: status %d, %v", got, s.status("outage-1").Counts)
	}
	for range 2 { // providers repeat themselves
		if got := post("key-1"); got != http.StatusNoContent {
			t.Errorf("status %d", got)
		}
	}
	if st := s.status("outage-1"); st.Counts["bounced"] != 1 || st.Counts["sent"] != 2 {
		t.Errorf("%v", st.Counts)
	}
}
