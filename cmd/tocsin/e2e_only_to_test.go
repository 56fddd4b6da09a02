package main

import (
	"encoding/json"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// TestACopyOfProductionMailsNobody: workers that are set up to send to a few mailboxes alone, and an API that is not.
func TestACopyOfProductionMailsNobody(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,alternate_email,language\n" +
		"c1,Customer 1,c1@example.com,,en\nc2,Customer 2,c2@example.com,,nl\n" +
		"t1,Test 1,T1@Example.NET,,en\nt2,Test 2,t2+tag@example.net,,nl\nt3,Test 3,t3@mail.bücher.example,,ar\n" +
		"b1,Broken 1,b1@broken.example,b1@example.net,en\nb2,Broken 2,b2@example.net,b2@example.com,en\n" +
		"s1,Shared 1,shared@example.net,,en\ns2,Shared 2,shared@example.net,,en\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	rehearsal := s.with("TOCSIN_ONLY_TO=*@example.net, *@*.xn--bcher-kva.example")
	worker := rehearsal.work()
	worker.awaitSaid(t, "only_to is set")
	worker.awaitSaid(t, "working")

	dir := s.notice("down", "broken_domains: [broken.example]", "stacked: always")
	out, errs, code := s.run("notice", "preview", dir)
	for _, want := range []string{"Only to", "*@example.net", "to end suppressed (only_to)  2", "[Rehearsal: only_to] "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("the dry run lacks %q: exit %d\n%s%s", want, code, out, errs)
		}
	}
	if _, errs, code := s.run("notice", "preview", dir, "--customer", "c1"); code != exitFailed || !strings.Contains(errs, "only_to") {
		t.Errorf("preview of a customer who is left out: exit %d, %s", code, errs)
	}
	var st notice.Status
	s.must(&st, "notice", "send", dir, "--yes", "--wait", "--json")
	if st.Counts["sent"] != 6 || st.Counts["suppressed"] != 2 || len(st.OnlyTo) != 2 {
		t.Errorf("the status is %+v", st)
	}
	if out, _, _ := s.run("notice", "status", "down"); !strings.Contains(out, "Only to") {
		t.Errorf("the status does not say so: %s", out)
	}
	for box, mails := range s.delivered() {
		if !strings.HasSuffix(box, "@example.net") && !strings.HasSuffix(box, ".xn--bcher-kva.example") {
			t.Errorf("%s got a mail", box)
		}
		if subject, err := new(mime.WordDecoder).DecodeHeader(mails[0].Subject); len(mails) != 1 || err != nil || !strings.HasPrefix(subject, "[Rehearsal: only_to] ") {
			t.Errorf("%s got %d mails, with the subject %q", box, len(mails), subject)
		}
	}
	for _, d := range s.report("down") {
		if d.State == notice.DeliverySuppressed && d.Reason != notice.ReasonOnlyTo {
			t.Errorf("%s is suppressed: %s", d.Address, d.Reason)
		}
	}
	if _, errs, code := s.run("notice", "test", dir, "--to", "ada@example.org"); code == 0 || !strings.Contains(errs, "left out by the setting only_to") {
		t.Errorf("a test mail to another mailbox: exit %d, %s", code, errs)
	}
	s.must(nil, "notice", "test", dir, "--to", "ada@example.net")
	mails := s.sink.Mails()
	if subject, _ := new(mime.WordDecoder).DecodeHeader(mails[len(mails)-1].Subject); !strings.HasPrefix(subject, "[Rehearsal: only_to] [Test] ") {
		t.Errorf("the subject of a test is %q", subject)
	}

	// A worker that was forgotten stops both, and everybody says so.
	stray := s.work()
	stray.awaitSaid(t, "no worker sends")
	worker.awaitSaid(t, "no worker sends")
	s.must(nil, "notice", "send", s.notice("again"), "--yes")
	if out, _, _ := s.run("notice", "status", "again"); !strings.Contains(out, "their settings only_to differ") {
		t.Errorf("the status does not say why nothing leaves: %s", out)
	}
	if out, _, code := s.run("check"); code != exitFailed || !strings.Contains(out, "no worker sends") {
		t.Errorf("check: exit %d, %s", code, out)
	}
	stray.stop()
	s.await("again", "rehearsed", func(st notice.Status) bool { return finished(st) && st.Counts["suppressed"] > 0 })
	worker.stop()

	// The setting is gone: the rest leaves when an operator says so, and unmarked.
	s.work()
	s.must(nil, "notice", "settle", "down", "--requeue", "--state", "suppressed", "--yes")
	s.await("down", "sent", func(st notice.Status) bool { return finished(st) && st.Counts["suppressed"] == 0 })
	if got := s.delivered()["c1@example.com"]; len(got) != 1 || strings.Contains(got[0].Subject, "only_to") {
		t.Errorf("the customer got %+v", got)
	}
}

// TestServeAloneThatIsARehearsalStopsWorkersThatAreNot: the dry run must not promise less than they send.
func TestServeAloneThatIsARehearsalStopsWorkersThatAreNot(t *testing.T) {
	t.Parallel()
	s := prepare(t, sharedServices(t), usualSink)
	s.with("TOCSIN_ONLY_TO=c1@example.com").launch("serve")
	s.customers(3)
	s.work().awaitSaid(t, "no worker sends")
	dir := s.notice("down")
	var p notice.Plan
	out, errs, code := s.run("notice", "preview", dir, "--json")
	if err := json.Unmarshal([]byte(out), &p); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if r := p.OnlyTo; r == nil || r.Mailed != 1 || r.Suppressed != 2 || r.Disagree == "" {
		t.Errorf("the dry run says %s", out)
	}
	s.must(nil, "notice", "send", dir, "--yes")
	if n := s.sink.Count(); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

// TestAWrongPatternEndsTheStart with exit 2, in a worker and in serve; check says so too.
func TestAWrongPatternEndsTheStart(t *testing.T) {
	t.Parallel()
	s := prepare(t, sharedServices(t), usualSink)
	for _, c := range []struct{ set, file, want string }{
		{set: "example.net", want: "write *@example.net"},
		{set: " , ", want: "names no mailbox"},
		{file: "only_to: []\n", want: "names no mailbox"},
		{file: "only_to:\n", want: "names no mailbox"},
		{file: "only_to: [\"*@*\"]\n", want: "*@*.example.net"},
		{file: "only_to: *@example.net\n", want: "quotes"},
	} {
		path := filepath.Join(t.TempDir(), "tocsin.yaml")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		wrong := s.with("TOCSIN_ONLY_TO="+c.set, "TOCSIN_CONFIG="+path)
		for _, command := range []string{"work", "serve", "check"} {
			want := exitUsage
			if command == "check" && c.want != "quotes" {
				want = exitFailed
			}
			if out, errs, code := wrong.run(command); code != want || !strings.Contains(out+errs, c.want) {
				t.Errorf("%s with %q %q: exit %d, want %q in %s%s", command, c.set, c.file, code, c.want, out, errs)
			}
		}
	}
}
