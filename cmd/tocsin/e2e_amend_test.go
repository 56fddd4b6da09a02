package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// amendment writes the directory of an amendment, with both texts in en, nl and ar.
func (s *system) amendment(key string, lines ...string) string {
	s.t.Helper()
	return s.write(map[string]string{
		"notice.yaml":      "key: " + key + "\nkind: outage\nphase: identified\n" + strings.Join(lines, "\n") + "\n",
		"en.md":            "---\nsubject: Plain " + key + "\n---\nDear {{.Customer.Name}}, mail is down.\n",
		"nl.md":            "---\nsubject: Gewoon " + key + "\n---\nBeste {{.Customer.Name}}, de mail ligt eruit.\n",
		"ar.md":            "---\nsubject: Plain " + key + "\n---\nمرحبا {{.Customer.Name}}\n",
		"correction.en.md": "---\nsubject: Correction " + key + "\n---\nDear {{.Customer.Name}}, our last mail named the wrong server. Mail is down.\n",
		"correction.nl.md": "---\nsubject: Correctie " + key + "\n---\nBeste {{.Customer.Name}}, onze laatste mail noemde de verkeerde server. De mail ligt eruit.\n",
		"correction.ar.md": "---\nsubject: Correction " + key + "\n---\nمرحبا {{.Customer.Name}}, تصحيح\n",
	})
}

// corrects reports whether a mail is a correction.
func corrects(raw string) bool { return strings.Contains(raw, "Subject: Corre") }

// wantAmended checks that each mailbox got one mail of an amendment: the correction, where it got a mail before.
func (s *system) wantAmended(key string) {
	s.t.Helper()
	for box, mails := range s.delivered() {
		before, of := 0, 0
		for _, m := range mails {
			if noticeOf(m) != key {
				before++
				continue
			}
			if of++; of > 1 {
				s.t.Errorf("%s got two mails of %s", box, key)
			}
			if before > 0 && !corrects(m.Raw) {
				s.t.Errorf("%s got the plain text of %s after another mail", box, key)
			}
		}
		if of == 0 {
			s.t.Errorf("%s got no mail of %s", box, key)
		}
	}
}

// TestANoticeIsAmendedInFlight stops a notice while answers to its dots are held up, which come late, or never since
// the worker is killed. Then the amendment is amended.
func TestANoticeIsAmendedInFlight(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]bool{"late answers": false, "a crash": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.customers(400)
			s.gate.shut(100)
			worker := s.work()
			s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
			s.gate.await()
			if crash {
				worker.kill()
			}
			dir := s.amendment("outage-1.amended", "parameters: {x: y}")
			out, errs, code := s.run("notice", "amend", "outage-1", dir, "--yes", "--json")
			if code != 0 || !strings.Contains(errs, "outage-1 is paused") || !strings.Contains(errs, "get the correction") {
				t.Fatalf("exit %d: %s%s", code, out, errs)
			}
			st := s.status("outage-1")
			if st.State != notice.Cancelled || st.Reason != notice.ReasonAmended || st.AmendedBy != "outage-1.amended" || st.Counts["sent"]+st.Counts["sending"] < 100 || st.Counts["queued"] != 0 || st.Counts["cancelled"] == 0 {
				t.Fatalf("the stopped notice: %+v", st)
			}
			// The server waits for dots for as long as the workers' lease wants, not the usual one.
			if wait := s.sql(`SELECT (max(due_at - clock_timestamp()) <= '2s')::text FROM outcome o JOIN notice n ON n.id = o.notice_id WHERE key = 'outage-1.amended'`); wait != "true" {
				t.Errorf("the dots that may come are waited for within a third of the lease: %s", wait)
			}
			s.gate.open()
			if crash {
				s.work()
			}
			s.await("outage-1", "finished", finished)
			st = s.await("outage-1.amended", "sent", sent(400))
			if together := st.Together; st.Amends != "outage-1" || together == nil || together.Corrections < 100 || together.Corrections >= 400 ||
				together.Counts["sent"] != 400+s.status("outage-1").Counts["sent"] {
				t.Errorf("the amendment: %+v, %+v", st, together)
			}
			s.wantAmended("outage-1.amended")
			// Pressed again, by either key, nothing happens.
			before := len(s.sink.Mails())
			for _, again := range [][]string{{"notice", "amend", "outage-1", dir, "--yes"}, {"notice", "send", s.notice("outage-1"), "--yes"}} {
				if out, errs, _ := s.run(again...); !strings.Contains(errs, "nothing is sent again") {
					t.Errorf("%v: %s%s", again, out, errs)
				}
			}
			// A correction that was wrong too.
			s.must(nil, "notice", "amend", "outage-1.amended", s.amendment("outage-1.last", "amends: outage-1.amended"), "--yes", "--wait")
			if n := len(s.sink.Mails()); n != before+400 {
				t.Errorf("%d mails were sent, want 400", n-before)
			}
			s.wantAmended("outage-1.last")
			if st := s.status("outage-1"); len(st.Together.Keys) != 3 || st.Together.Corrections != 400 {
				t.Errorf("together: %+v", st.Together)
			}
			out, _, _ = s.run("report", "outage-1")
			for _, want := range []string{"cancelled (amended by outage-1.amended)", "Together", "outage-1, outage-1.amended, outage-1.last"} {
				if !strings.Contains(out, want) {
					t.Errorf("the report lacks %q:\n%s", want, out)
				}
			}
			if log := s.sql(`SELECT string_agg(what || ' ' || detail, '; ' ORDER BY id) FROM act WHERE what = 'amend'`); !strings.Contains(log, "by notice outage-1.amended, which corrects ") {
				t.Errorf("the log of acts: %s", log)
			}
			row := s.report("outage-1.last")[0]
			var shown notice.Message
			s.must(&shown, "notice", "show", "outage-1.last", "--address", row.Address, "--json")
			if shown.Proof != notice.ProofSame || !strings.HasPrefix(shown.Subject, "Corre") {
				t.Errorf("the mail that is shown: %s, %q", shown.Proof, shown.Subject)
			}
		})
	}
}

// TestWhatAnAmendmentLacksIsNamed: each error names the file or field at fault, and nothing is stopped.
func TestWhatAnAmendmentLacksIsNamed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	without := func(file string) string {
		dir := s.amendment("amended")
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	same := s.amendment("amended")
	plain, err := os.ReadFile(filepath.Join(same, "nl.md"))
	if err == nil {
		err = os.WriteFile(filepath.Join(same, "correction.nl.md"), plain, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		without("correction.nl.md"):                             "correction.nl.md: is missing",
		without("nl.md"):                                        "nl.md: is missing",
		s.amendment("amended", "audience: all"):                 "notice.yaml:4 audience: does not go with an amendment",
		s.amendment("amended", "send_at: 2030-01-01T00:00:00Z"): "notice.yaml:4 send_at: does not go with an amendment",
		s.amendment("amended", "incident: another"):             "notice.yaml:4 incident: is \"another\"",
		s.amendment("amended", "amends: another"):               "notice.yaml:4 amends amends another, and not outage-1",
		s.amendment("outage-1"):                                 "notice.yaml:1 key: is that of the notice to be amended",
		same:                                                    "corrections.nl is the same as the plain text",
	} {
		if out, errs, code := s.run("notice", "amend", "outage-1", dir, "--yes"); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("exit %d, want %q: %s%s", code, want, out, errs)
		}
	}
	if out, errs, code := s.run("notice", "send", s.amendment("amended"), "--yes"); code == 0 || !strings.Contains(errs, "tocsin notice amend") {
		t.Errorf("sent: exit %d: %s%s", code, out, errs)
	}
	if out, errs, code := s.run("notice", "amend", "nothing", s.amendment("amended"), "--yes"); code == 0 || !strings.Contains(errs, `there is no notice "nothing"`) {
		t.Errorf("amends nothing: exit %d: %s%s", code, out, errs)
	}
	s.must(nil, "notice", "preview", s.amendment("amended", "amends: outage-1"))
	if st := s.status("outage-1"); st.State.Finished() || st.Counts["queued"] != 3 {
		t.Errorf("the notice is %+v", st)
	}
}
