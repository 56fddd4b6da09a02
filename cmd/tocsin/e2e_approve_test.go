package main

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// person makes a token, and is the system as its holder uses it.
func (s *system) person(name, role string) *system {
	s.t.Helper()
	out, errs, code := s.run("tokens", "add", name, "--role", role)
	if code != exitDone {
		s.t.Fatalf("tokens add %s: exit %d, %s", name, code, errs)
	}
	return s.with("TOCSIN_TOKEN=" + strings.TrimSpace(out))
}

// wantRun runs a command that has to exit so, and to say all of these.
func (s *system) wantRun(code int, says []string, args ...string) string {
	s.t.Helper()
	out, errs, got := s.run(args...)
	for _, text := range says {
		if !strings.Contains(strings.Join(strings.Fields(out+errs), " "), text) {
			s.t.Errorf("%s does not say %q:\n%s%s", strings.Join(args, " "), text, out, errs)
		}
	}
	if got != code {
		s.t.Errorf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out
}

// TestAnotherPersonApprovesAReleaseToMany: the author asks, a second person sees the mails and releases the plan that
// was asked for, though customers have come since. Nobody gets round that, and an override stands out.
func TestAnotherPersonApprovesAReleaseToMany(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_APPROVALS=3")
	s.customers(3)
	ann, bob, eve := s.person("ann", "sender"), s.person("bob", "approver"), s.person("eve", "approver")
	s.work()
	dir := s.notice("down")
	waits := []string{"3 recipients, and from 3 on another person", "tocsin notice approve down", "awaiting_approval"}
	for range 2 { // pressed again: nothing happens
		ann.wantRun(exitFailed, waits, "notice", "send", dir, "--yes", "--wait")
	}
	out := ann.wantRun(exitFailed, nil, "notice", "send", dir, "--yes", "--json")
	var r receipt
	if s.decode(out, &r); r.State != notice.Draft || r.Created || r.AwaitingApproval == nil || r.AwaitingApproval.Recipients != 3 {
		t.Errorf("the receipt is %s", out)
	}
	ann.wantRun(exitFailed, []string{"role is sender, and this wants approver"}, "notice", "approve", "down", "--yes")
	s.wantRun(exitFailed, []string{"TOCSIN_TOKEN, and a call without a token"}, "notice", "approve", "down", "--yes")
	s.wantRun(exitDone, []string{"Awaits approval", "asked by ann"}, "notice", "status", "down")
	s.wantRun(exitDone, []string{"tocsin notice approve down"}, "notice", "list")

	s.must(nil, "customers", "import", s.write(map[string]string{"c.csv": "id,name,email\nc9,New,c9@example.com\n"})+"/c.csv", "--json")
	bob.wantRun(exitDone, []string{"ann", "for its release to 3 recipients", "Dear Customer", "Look again: its audience has come to 4"},
		"notice", "approve", "down", "--yes")
	s.await("down", "sent", func(st notice.Status) bool { return st.State == notice.Sent })
	if n := len(s.delivered()); n != 3 {
		t.Errorf("%d mailboxes got it", n)
	}
	eve.wantRun(exitDone, []string{"is sent"}, "notice", "approve", "down", "--yes") // the second press
	s.wantRun(exitDone, []string{"by ann (", "Approved by bob ("}, "notice", "status", "down")
	s.wantRun(exitDone, []string{"by ann (", "Approved by bob ("}, "report", "down")
	s.wantRun(exitDone, []string{"approved by bob ("}, "notice", "list")
	s.wantRun(exitDone, []string{"ask approval down", "approve down"}, "acts", "--notice", "down")

	wrote := s.notice("again")
	bob.wantRun(exitFailed, []string{"awaiting_approval"}, "notice", "send", wrote, "--yes")
	bob.wantRun(exitFailed, []string{"bob wrote on notice", "another person has to approve it"}, "notice", "approve", "again", "--yes")
	s.wantRun(exitDone, []string{"released as number"}, "notice", "send", wrote, "--yes", "--override", "both colleagues are on a plane")
	s.wantRun(exitDone, []string{"Overridden by TOCSIN_TOKEN", "without another person: both colleagues are on a plane"}, "notice", "status", "again")
	s.wantRun(exitDone, []string{"both colleagues are on a plane"}, "acts", "--what", "override approval")
}

// TestAnAmendmentIsApprovedToo: the notice with the wrong text stays paused until another person releases the amendment.
func TestAnAmendmentIsApprovedToo(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_APPROVALS=3")
	s.customers(3)
	ann, bob := s.person("ann", "sender"), s.person("bob", "approver")
	ann.run("notice", "send", s.notice("wrong"), "--yes")
	bob.wantRun(exitDone, nil, "notice", "approve", "wrong", "--yes")
	amended := map[string]string{"notice.yaml": "key: right\nkind: outage\nphase: identified\n"}
	for _, language := range []string{"en", "nl", "ar"} {
		amended[language+".md"] = "---\nsubject: Mail is down\n---\nDear {{.Customer.Name}}, it is Friday.\n"
		amended["correction."+language+".md"] = "---\nsubject: Correction, mail is down\n---\nDear {{.Customer.Name}}, we wrote Monday, and it is Friday.\n"
	}
	dir := s.write(amended)
	ann.wantRun(exitFailed, []string{"awaiting_approval", "wrong stays paused"}, "notice", "amend", "wrong", dir, "--yes")
	bob.wantRun(exitDone, nil, "notice", "approve", "right", "--yes")
	s.work()
	s.await("right", "sent", func(st notice.Status) bool { return st.State == notice.Sent })
	for address, mails := range s.delivered() {
		if len(mails) != 1 || !strings.Contains(string(mails[0].Raw), "X-Notice: right\r\n") {
			t.Errorf("%s got %d mails", address, len(mails))
		}
	}
}
