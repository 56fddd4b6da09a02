package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// maintenance writes a notice of the maintenance m, with the ready texts, about a window of two hours that begins then.
func (s *system) maintenance(phase string, start time.Time, lines ...string) string {
	s.t.Helper()
	manifest := slices.Concat([]string{"key: m." + phase, "incident: m", "kind: maintenance", "phase: " + phase, "template: maintenance", "parameters: {component: mail server}",
		fmt.Sprintf("windows: [{start: %s, end: %s}]", start.Format(time.RFC3339), start.Add(2*time.Hour).Format(time.RFC3339))}, lines)
	return s.write(map[string]string{"notice.yaml": strings.Join(manifest, "\n") + "\n"})
}

// tells sends a notice of the maintenance, and waits until it is out.
func (s *system) tells(dir, key string) {
	s.t.Helper()
	s.must(nil, "notice", "send", dir, "--yes")
	s.await(key, "finished", finished)
}

// got lists the keys of the notices that a mailbox has, in their order.
func (s *system) got(address string) (keys []string) {
	for _, m := range s.sink.Mails() {
		if slices.Contains(m.RcptTo, address) {
			keys = append(keys, headerOf(m, "X-Notice"))
		}
	}
	return keys
}

func headerOf(m sink.Mail, name string) string {
	line := regexp.MustCompile(`(?m)^` + name + `: (.*?)\r?$`).FindStringSubmatch(m.Raw)
	if line == nil {
		return ""
	}
	return line[1]
}

// revisions are the revisions of the events that a mailbox has, in the order of its mails.
func (s *system) revisions(address string) (all []int) {
	for _, m := range s.sink.Mails() {
		if line := regexp.MustCompile(`SEQUENCE:(\d+)`).FindStringSubmatch(m.Raw); slices.Contains(m.RcptTo, address) && line != nil {
			n, _ := strconv.Atoi(line[1])
			all = append(all, n)
		}
	}
	return all
}

func (s *system) wantGot(address string, want ...string) {
	s.t.Helper()
	if got := s.got(address); !slices.Equal(got, want) {
		s.t.Errorf("%s has %v, want %v", address, got, want)
	}
	if all := s.revisions(address); len(all) != len(want) || !slices.IsSorted(all) || len(all) > 1 && len(slices.Compact(slices.Clone(all))) < len(all) {
		s.t.Errorf("the revisions in the calendars of %s are %v", address, all)
	}
}

// TestAMaintenanceThatIsCancelledRemindsNobody: one reminder has gone out, and the others never do.
func TestAMaintenanceThatIsCancelledRemindsNobody(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customersOf("1,a@a.example", "2,b@b.example", "3,permfail@c.example")
	s.work()
	window := time.Now().Add(80 * time.Hour).UTC().Truncate(time.Minute)
	announced := s.maintenance("scheduled", window, "audience: all", "remind: [7d, 72h, 24h, 1h]")
	out, _, _ := s.run("notice", "preview", announced)
	for _, want := range []string{"m.scheduled.reminder-168h: its time is past", "Reminder ", ": m.scheduled.reminder-72h", ": m.scheduled.reminder-1h"} {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run lacks %q:\n%s", want, out)
		}
	}
	s.tells(announced, "m.scheduled")
	var list struct{ Notices []notice.Status }
	s.must(&list, "notice", "list", "--incident", "m", "--json")
	if len(list.Notices) != 4 {
		t.Fatalf("the incident has %d notices", len(list.Notices))
	}
	if out, _, _ := s.run("notice", "list", "--incident", "m"); !strings.Contains(out, "LEAVES") || !strings.Contains(out, window.Add(-time.Hour).Local().Format("2006-01-02 15:04")) {
		t.Errorf("the list does not say what comes next:\n%s", out)
	}
	s.customersOf("1,a@a.example", "2,b@b.example", "3,permfail@c.example", "4,new@d.example")
	s.must(nil, "notice", "cancel", "m.scheduled.reminder-24h")
	s.must(nil, "notice", "send-now", "m.scheduled.reminder-72h")
	s.await("m.scheduled.reminder-72h", "finished", finished)
	s.tells(s.maintenance("cancelled", window, "audience: {notice: m.scheduled, include_new: true}"), "m.cancelled")
	if st := s.status("m.scheduled.reminder-1h"); st.State != notice.Cancelled || st.Reason != notice.ReasonSuperseded || st.ReminderOf != "m.scheduled" {
		t.Errorf("the last reminder is %+v", st)
	}
	if _, errs, code := s.run("notice", "send-now", "m.scheduled.reminder-1h"); code != 1 || !strings.Contains(errs, "is cancelled") {
		t.Errorf("it was sent now: exit %d, %s", code, errs)
	}
	s.wantGot("a@a.example", "m.scheduled", "m.scheduled.reminder-72h", "m.cancelled")
	s.wantGot("new@d.example", "m.scheduled.reminder-72h", "m.cancelled")
	s.wantGot("permfail@c.example")
}

// TestAMaintenanceIsAnnouncedMovedRemindedOfBegunAndCompleted: each mailbox gets each step once, and no reminder of the
// old windows.
func TestAMaintenanceIsAnnouncedMovedRemindedOfBegunAndCompleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customersOf("1,a@a.example", "2,permfail@c.example")
	s.work()
	window := time.Now().Add(80 * time.Hour).UTC().Truncate(time.Minute)
	moved := s.maintenance("rescheduled", window.Add(24*time.Hour), "remind: [48h, 1h]")
	if _, errs, code := s.run("notice", "preview", moved); code != 1 || !strings.Contains(errs, "notice.yaml:4 was: no notice of incident \"m\" has announced windows before") {
		t.Errorf("moved before it was announced: exit %d, %s", code, errs)
	}
	s.tells(s.maintenance("scheduled", window, "audience: all", "remind: [24h]"), "m.scheduled")
	if out, _, code := s.run("notice", "list", "--incident", "other"); code != 0 || out != "There is no notice of incident other yet.\n" {
		t.Errorf("the list of another incident: exit %d, %s", code, out)
	}
	s.customersOf("1,a@a.example", "2,permfail@c.example", "3,new@d.example")
	out, errs, code := s.run("notice", "preview", moved)
	for _, want := range []string{"Was ", window.Format(time.RFC3339), "who stood on m.scheduled", "The time that no longer applies", "m.rescheduled.reminder-48h",
		"as a first announcement    1: newcomers", "--- en, newcomers, as customer 3 gets it ---\nSubject: Planned maintenance: mail server\n"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("the dry run lacks %q: %s%s", want, out, errs)
		}
	}
	s.tells(moved, "m.rescheduled")
	s.wantMoved()
	var r receipt
	if s.must(&r, "notice", "send", moved, "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}
	if st := s.status("m.scheduled.reminder-24h"); st.State != notice.Cancelled {
		t.Errorf("the reminder of the old windows is %s", st.State)
	}
	s.must(nil, "notice", "send-now", "m.rescheduled.reminder-48h")
	s.await("m.rescheduled.reminder-48h", "finished", finished)
	for _, phase := range []string{"in-progress", "completed"} {
		s.tells(s.maintenance(phase, window.Add(24*time.Hour), "audience: {notice: m.rescheduled}"), "m."+phase)
	}
	if st := s.status("m.rescheduled.reminder-1h"); st.State != notice.Cancelled {
		t.Errorf("the reminder of what is completed is %s", st.State)
	}
	all := []string{"m.rescheduled", "m.rescheduled.reminder-48h", "m.in-progress", "m.completed"}
	s.wantGot("a@a.example", append([]string{"m.scheduled"}, all...)...)
	s.wantGot("new@d.example", all...)
	s.wantGot("permfail@c.example")

	again := strings.Replace(string(read(t, filepath.Join(moved, "notice.yaml"))), "key: m.rescheduled", "key: m.again", 1)
	back := s.write(map[string]string{"notice.yaml": again + "audience: all\n"})
	if _, errs, code := s.run("notice", "send", back, "--yes"); code != 1 || !strings.Contains(errs, "goes backwards") || !strings.Contains(errs, "--force") {
		t.Errorf("back from completed: exit %d, %s", code, errs)
	}
	s.must(nil, "notice", "send", back, "--yes", "--force")
}

// TestAWindowKeepsItsEventInANoticeThatNamesItAlone: of two windows the second begins, and its mail changes the event
// of that one.
func TestAWindowKeepsItsEventInANoticeThatNamesItAlone(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customersOf("1,a@a.example")
	s.work()
	window := time.Now().Add(80 * time.Hour).UTC().Truncate(time.Minute)
	second := window.Add(24 * time.Hour)
	dir := s.maintenance("scheduled", window, "audience: all")
	both := strings.Replace(string(read(t, filepath.Join(dir, "notice.yaml"))), "}]",
		fmt.Sprintf("}, {start: %s, end: %s}]", second.Format(time.RFC3339), second.Add(2*time.Hour).Format(time.RFC3339)), 1)
	s.tells(s.write(map[string]string{"notice.yaml": both}), "m.scheduled")
	begun := s.maintenance("in-progress", second, "audience: {notice: m.scheduled}")
	s.tells(begun, "m.in-progress")
	var r receipt
	if s.must(&r, "notice", "send", begun, "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}
	var events [][]string
	for _, m := range s.sink.Mails() {
		var of []string
		for _, uid := range regexp.MustCompile(`(?m)^UID:(.+?)\r?$`).FindAllStringSubmatch(m.Raw, -1) {
			of = append(of, uid[1])
		}
		events = append(events, of)
	}
	if len(events) != 2 || len(events[0]) != 2 || len(events[1]) != 1 || events[1][0] != events[0][1] {
		t.Errorf("the events of the mails are %v", events)
	}
}

// wantMoved checks that the mail to the one who is new announces the maintenance, and that the other one says that it
// was moved; and that both are shown so.
func (s *system) wantMoved() {
	s.t.Helper()
	for address, newcomer := range map[string]bool{"a@a.example": false, "new@d.example": true} {
		var m notice.Message
		s.must(&m, "notice", "show", "m.rescheduled", "--address", address, "--json")
		moved := strings.HasPrefix(m.Subject, "[Moved] ") && strings.Contains(m.Text, "has been moved") && strings.Contains(m.Text, "The time that no longer applies")
		told := strings.Contains(m.Subject+m.Text, "oved") || strings.Contains(m.Text, "no longer")
		if m.Proof != notice.ProofSame || moved == newcomer || newcomer && told {
			s.t.Errorf("%s got %s, %s: %q\n%s", address, m.Proof, m.Why, m.Subject, m.Text)
		}
	}
	if st := s.status("m.rescheduled"); st.Newcomers != 1 || st.Fallback[""] != 2 {
		s.t.Errorf("the status has %d newcomers, and readers without a text %v", st.Newcomers, st.Fallback)
	}
	var report struct {
		Newcomers int
		Fallback  map[string]int
	}
	s.must(&report, "report", "m.rescheduled", "--format", "json")
	if report.Newcomers != 1 || report.Fallback[""] != 2 {
		s.t.Errorf("the report is %+v", report)
	}
	if out, errs, code := s.run("report", "m.rescheduled"); code != 0 || !strings.Contains(out, "Default language for\n  none known  2") {
		s.t.Errorf("exit %d: %s%s", code, out, errs)
	}
}
