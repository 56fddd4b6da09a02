package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// later makes the notice of a directory one that leaves in the year 2099, in the zone of New York.
func later(t *testing.T, dir string) {
	t.Helper()
	manifest := filepath.Join(dir, "notice.yaml")
	write(t, manifest, string(read(t, manifest))+"zone: America/New_York\nsend_at: 2099-07-01T09:00\nexpires_at: 2099-07-02T09:00\n")
}

// TestAScheduledNoticeIsMovedTakenBackAndSentNow is a maintenance with a window that is put off and then brought forward.
func TestAScheduledNoticeIsMovedTakenBackAndSentNow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	s.work()
	dir := s.notice("feeds-1")
	later(t, dir)
	s.must(nil, "notice", "send", dir, "--yes")

	for to, want := range map[string]string{
		"2098-11-02T01:30":       "comes twice in America/New_York",
		"2099-07-03T09:00":       "expires_at: is not after send_at",
		"2020-01-01T09:00":       "is not in the future; to send it now there is send-now",
		"next week":              "is not a time",
		"2099-07-02T13:00:00Z":   "expires_at: is not after send_at",
		"2098-03-09T02:30:00":    "does not exist in America/New_York",
		"2099-07-02 09:00-04:00": "is not a time",
	} {
		if _, errs, code := s.run("notice", "move", "feeds-1", to); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("moved to %s: exit %d, %s, want %s", to, code, errs, want)
		}
	}
	var st notice.Status
	s.must(&st, "notice", "move", "feeds-1", "2099-07-01 18:00", "--json")
	if st.State != notice.Scheduled || st.SendAt.Format(time.RFC3339) != "2099-07-01T22:00:00Z" {
		t.Errorf("moved: it is %s, to be sent at %v", st.State, st.SendAt)
	}
	var r receipt
	if s.must(&r, "notice", "send", dir, "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}

	s.must(&st, "notice", "take-back", "feeds-1", "--json")
	if st.State != notice.Draft || st.Recipients != 0 || st.ReleasedAt != nil || st.SendAt.Format(time.RFC3339) != "2099-07-01T13:00:00Z" {
		t.Errorf("taken back: %+v", st)
	}
	if _, errs, code := s.run("notice", "take-back", "feeds-1"); code != 1 || !strings.Contains(errs, "is draft: there is nothing to take back") {
		t.Errorf("taken back again: exit %d, %s", code, errs)
	}
	if s.must(&r, "notice", "send", dir, "--yes", "--json"); !r.Created || r.State != notice.Scheduled || r.Recipients != 3 {
		t.Errorf("released again: %+v", r)
	}

	s.must(nil, "notice", "send-now", "feeds-1")
	s.await("feeds-1", "finished", finished)
	if st := s.settled("feeds-1", 0); st.Counts["sent"] != 3 {
		t.Errorf("ended as %v, want 3 sent", st.Counts)
	}
	for address, mails := range s.delivered() {
		if len(mails) != 1 {
			t.Errorf("%s has %d mails", address, len(mails))
		}
	}
	for _, verb := range []string{"send-now", "take-back"} {
		if _, errs, code := s.run("notice", verb, "feeds-1"); code != 1 || !strings.Contains(errs, "is sent") {
			t.Errorf("%s of what was sent: exit %d, %s", verb, code, errs)
		}
	}
}

// TestAnAudienceIsThatOfTheMomentAtWhichANoticeLeaves, up to the maximum that was approved.
func TestAnAudienceIsThatOfTheMomentAtWhichANoticeLeaves(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	s.work()
	dir := s.notice("feeds-1", "audience_at: send", "max_recipients: 4")
	later(t, dir)
	var r receipt
	s.must(&r, "notice", "send", dir, "--yes", "--json")
	if !r.Created || r.State != notice.Scheduled || r.Recipients != 0 {
		t.Errorf("released: %+v", r)
	}
	more := func(id string) {
		file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email\n" + id + ",Customer " + id + "," + id + "@example.com\n"}), "c.csv")
		s.must(nil, "customers", "import", file)
	}
	more("d4")
	more("d5")
	s.must(nil, "notice", "send-now", "feeds-1")
	held := s.await("feeds-1", "held", func(st notice.Status) bool { return st.State == notice.Held })
	if want := "it would go to 5 recipients, and max_recipients is 4"; held.Reason != want || s.sink.Count() != 0 {
		t.Errorf("held because %q, with %d mails, want %q", held.Reason, s.sink.Count(), want)
	}
	if out, errs, code := s.run("notice", "send", dir, "--json"); code != 1 || !strings.Contains(out, `"created": false`) || !strings.Contains(errs, "is held") {
		t.Errorf("the second press: exit %d, %s%s", code, out, errs)
	}
	s.must(nil, "notice", "unhold", "feeds-1", "--max-recipients", "5")
	s.await("feeds-1", "finished", finished)
	if st := s.settled("feeds-1", 0); st.Counts["sent"] != 5 {
		t.Errorf("ended as %v, want 5 sent", st.Counts)
	}
	// A customer without a name has come: a mail would have a hole in it.
	dir = s.notice("feeds-2", "audience_at: send", "max_recipients: 100")
	later(t, dir)
	s.must(nil, "notice", "send", dir, "--yes")
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email\nd6,,d6@example.com\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.must(nil, "notice", "send-now", "feeds-2")
	held = s.await("feeds-2", "held", func(st notice.Status) bool { return st.State == notice.Held })
	if !strings.Contains(held.Reason, "a hole in it") {
		t.Errorf("held because %q", held.Reason)
	}
	s.must(nil, "notice", "take-back", "feeds-2")
	s.must(nil, "notice", "delete", "feeds-2")
}
