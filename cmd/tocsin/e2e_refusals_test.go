package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestEveryBadRowOfACustomerFileIsNamed(t *testing.T) {
	t.Parallel()
	s := start(t)
	long := strings.Repeat("x", 65)
	file := filepath.Join(s.write(map[string]string{"c.csv": "\ufeff" + strings.ReplaceAll(`Email;id;name;language;time_zone;alternate_email;plan
good@example.com;1;Good;de_CH;Europe/Zurich;;gold
;2;No address;;;;
no-at-sign;3;Bad address;;;;
a@b@c.example;4;Two ats;;;;
`+long+`@example.com;5;Long local part;;;;
ok@example.com;6;Bad language;english!;;;
ok@example.com;7;Bad zone;;Europe/Atlantis;;
ok@example.com;8;Bad alternate;;;nowhere;
ok@example.com;;No id;;;;
ok@example.com;1;The same id;;;;
ok@example.com;10
"inject@example.com";11;"two
lines";;;;
`, "\n", "\r\n")}), "c.csv")
	out, errs, code := s.run("customers", "import", file, "--json")
	if code != 1 {
		t.Errorf("exit %d, want 1: rows were rejected\n%s", code, errs)
	}
	var r notice.ImportReport
	s.decode(out, &r)
	got := map[int]string{}
	for _, x := range r.Rejected {
		got[x.Line] = x.Column
		if x.Reason == "" {
			t.Errorf("line %d was rejected without a reason", x.Line)
		}
	}
	want := map[int]string{4: "email", 5: "email", 6: "email", 7: "language", 8: "time_zone", 9: "alternate_email", 10: "id", 11: "id", 12: "", 13: "name"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rejected lines and columns (-want +got):\n%s", diff)
	}
	if r.Inserted != 2 || r.Read != 12 {
		t.Errorf("read %d and inserted %d, want 12 and 2", r.Read, r.Inserted)
	}
	out, _, code = s.run("customers", "import", file, "--strict", "--json")
	s.decode(out, &r)
	if code != 1 || r.Inserted+r.Updated+r.Unchanged != 0 {
		t.Errorf("strict: exit %d, %+v, want nothing kept", code, r)
	}
}

func TestABadNoticeIsRefusedAtItsPlaceAndNothingIsSent(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,language,plan,since\n1,Ann,ann@example.com,en,gold,2027-10-31T02:30\n2,,bob@example.com,nl,,2027-10-31\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.work()
	const unsaid = "key: outage-1\nkind: outage\nphase: identified\n"
	const good = unsaid + "audience: all\n"
	const text = "---\nsubject: Mail is down\n---\nWe are on it.\n"
	tests := map[string]struct {
		files map[string]string
		want  []string // each stands in the output
	}{
		"unknown key":                            {map[string]string{"notice.yaml": good + "audiance: x\n", "en.md": text}, []string{"notice.yaml:5", "audiance"}},
		"wrong kind":                             {map[string]string{"notice.yaml": "key: outage-1\nkind: party\nphase: identified\n", "en.md": text}, []string{"kind", "maintenance"}},
		"phase of another kind":                  {map[string]string{"notice.yaml": "key: outage-1\nkind: outage\nphase: reminder\n", "en.md": text}, []string{"phase", "reminder"}},
		"key that is a number":                   {map[string]string{"notice.yaml": "key: \"12\"\nkind: outage\nphase: identified\n", "en.md": text}, []string{"key", "letter"}},
		"no default language":                    {map[string]string{"notice.yaml": good + "default_language: nl\n", "en.md": text}, []string{"nl"}},
		"an order of text in a condition":        {map[string]string{"notice.yaml": good, "en.md": text + "\n{{if ge .Customer.Attributes.plan \"10\"}}x{{end}}\n"}, []string{"en.md:6", "without quotes"}},
		"a condition on what nobody has":         {map[string]string{"notice.yaml": good, "en.md": text + "{{if .Customer.Attributes.plam}}x{{end}}\n"}, []string{"en.md:5", "no customer has the attribute plam", "plan"}},
		"a condition on a value that nobody has": {map[string]string{"notice.yaml": good, "en.md": text + "{{if eq .Customer.Attributes.plan \"glod\"}}x{{end}}\n"}, []string{"en.md:5", "no customer has the plan \"glod\""}},
		"a link that leads nowhere":              {map[string]string{"notice.yaml": good, "en.md": text + "[s](status.example.net)\n"}, []string{"en.md:5", "status.example.net", "https://"}},
		"a link of a ready text":                 {map[string]string{"notice.yaml": good + "template: outage\nparameters: {component: mail, status_page: status.example.net}\n"}, []string{"parts/status", "status.example.net", "https://"}},
		"bad filter":                             {map[string]string{"notice.yaml": unsaid + "audience: 'plan = \"gold\" and id = \"1\"'\n", "en.md": text}, []string{"audience", "and", "15"}},
		"filter on an attribute that nobody has": {map[string]string{"notice.yaml": unsaid + "audience: 'plam = \"gold\"'\n", "en.md": text}, []string{"plam", "plan"}},
		"no audience":                            {map[string]string{"notice.yaml": unsaid, "en.md": text}, []string{"notice.yaml audience", "audience: says nobody", "all for every customer"}},
		"audience that is a comment":             {map[string]string{"notice.yaml": unsaid + "audience: # plan = \"gold\"\n", "en.md": text}, []string{"notice.yaml:4 audience", "says nobody"}},
		"states that are none":                   {map[string]string{"notice.yaml": unsaid + "audience: {notice: k, state: []}\n", "en.md": text}, []string{"notice.yaml:4 audience", "state says nothing"}},
		"audience of an empty mapping":           {map[string]string{"notice.yaml": unsaid + "audience: {filter: }\n", "en.md": text}, []string{"notice.yaml:4 audience", "says nobody"}},
		"audience of nobody":                     {map[string]string{"notice.yaml": unsaid + "audience: 'plan = \"lead\"'\n", "en.md": text}, []string{"nobody"}},
		"field that can't exist":                 {map[string]string{"notice.yaml": good, "en.md": "---\nsubject: s\n---\nDear {{.Customer.Nmae}},\n"}, []string{"en.md", "Nmae"}},
		"parameter not given":                    {map[string]string{"notice.yaml": good, "en.md": "---\nsubject: s\n---\n{{.Parameters.component}} is down\n"}, []string{"en.md", "component"}},
		"template syntax":                        {map[string]string{"notice.yaml": good, "en.md": "---\nsubject: s\n---\n\n{{if .Customer.Name}}never closed\n"}, []string{"en.md"}},
		"hole":                                   {map[string]string{"notice.yaml": good, "en.md": "---\nsubject: s\n---\nDear {{.Customer.Name}},\n"}, []string{"hole", "2"}},
		"window that ends before it starts":      {map[string]string{"notice.yaml": good + "windows:\n- {start: 2026-11-09T21:00, end: 2026-11-09T20:00}\n", "en.md": text}, []string{"windows", "end"}},
		"window that the clocks skip":            {map[string]string{"notice.yaml": good + "zone: America/New_York\nwindows:\n- {start: 2027-03-14T02:30, end: 2027-03-14T06:00}\n", "en.md": text}, []string{"windows", "start", "does not exist", "2027-03-14T03:30-04:00"}},
		"window in the hour that comes twice":    {map[string]string{"notice.yaml": good + "windows:\n- {start: 2027-10-31T01:00, end: 2027-10-31T02:30, zone: Europe/Amsterdam}\n", "en.md": text}, []string{"windows", "end", "comes twice", "+02:00"}},
		"send_at without a zone":                 {map[string]string{"notice.yaml": good + "send_at: 2027-10-31T02:30\n", "en.md": text}, []string{"notice.yaml:5 send_at", "zone: Europe/Amsterdam", "2027-10-31T02:30:00Z"}},
		"send_at in the hour that comes twice":   {map[string]string{"notice.yaml": good + "zone: Europe/Amsterdam\nsend_at: 2027-10-31T02:30\n", "en.md": text}, []string{"notice.yaml:6 send_at", "comes twice", "2027-10-31T02:30+02:00", "2027-10-31T02:30+01:00"}},
		"expires_at that the clocks skip":        {map[string]string{"notice.yaml": good + "zone: America/New_York\nexpires_at: 2027-03-14 02:30\n", "en.md": text}, []string{"notice.yaml:6 expires_at", "does not exist", "2027-03-14T03:30-04:00"}},
		"a date in a text that comes twice":      {map[string]string{"notice.yaml": good + "zone: Europe/Amsterdam\n", "en.md": text + "\n{{date \"2027-10-31T02:30\"}}\n"}, []string{"en.md:6", "comes twice", "+01:00"}},
		"a parameter that comes twice":           {map[string]string{"notice.yaml": good + "zone: Europe/Amsterdam\nparameters: {next: 2027-10-31T02:30}\n", "en.md": text + "{{date .Parameters.next}}\n"}, []string{"en.md:5", "comes twice", "+01:00"}},
		"a customer's date that comes twice":     {map[string]string{"notice.yaml": good + "zone: Europe/Amsterdam\n", "en.md": text + "{{date .Customer.Attributes.since}}\n"}, []string{"en.md:5", "date .Customer.Attributes.since", "comes twice", "+01:00"}},
		"unknown zone":                           {map[string]string{"notice.yaml": good + "zone: Mars/Olympus\n", "en.md": text}, []string{"zone", "Mars/Olympus"}},
		"expired":                                {map[string]string{"notice.yaml": good + "expires_at: 2020-01-01T00:00:00Z\n", "en.md": text}, []string{"expires_at"}},
		"no such template":                       {map[string]string{"notice.yaml": good + "template: outrage\n"}, []string{"outrage", "outage"}},
		"no text at all":                         {map[string]string{"notice.yaml": good}, []string{"text"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			own := *s
			own.t = t
			out, errs, code := own.run("notice", "send", own.write(tt.files), "--yes", "--json")
			if code == 0 {
				t.Fatalf("it was sent: %s", out)
			}
			for _, want := range tt.want {
				if !strings.Contains(errs, want) {
					t.Errorf("the error does not name %q:\n%s", want, errs)
				}
			}
		})
	}
	if n := s.sink.Count(); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

// TestWhatWasReleasedIsNotCheckedAgain presses send again for a notice with a body that would be refused today.
func TestWhatWasReleasedIsNotCheckedAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	dir := s.notice("outage-1")
	manifest := filepath.Join(dir, "notice.yaml")
	write(t, manifest, strings.ReplaceAll(string(read(t, manifest)), "audience: all\n", ""))
	var r receipt
	s.must(&r, "notice", "send", dir, "--json")
	if r.Created || r.Key != "outage-1" {
		t.Errorf("the second press answered %+v", r)
	}
}

// TestATimeOfAClockLeavesInItsZone sends a notice with times of a clock, and presses again when its hour comes twice.
func TestATimeOfAClockLeavesInItsZone(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(1)
	dir := s.notice("outage-1")
	manifest := filepath.Join(dir, "notice.yaml")
	write(t, manifest, string(read(t, manifest))+"zone: America/New_York\nsend_at: 2099-07-01 09:00\nexpires_at: 2099-07-02T09:00\n")
	var r receipt
	s.must(&r, "notice", "send", dir, "--yes", "--json")
	if st := s.status("outage-1"); st.State != notice.Scheduled || st.SendAt.Format(time.RFC3339) != "2099-07-01T13:00:00Z" || st.ExpiresAt.Format(time.RFC3339) != "2099-07-02T13:00:00Z" {
		t.Errorf("it is %s, to be sent at %v, and expires at %v", st.State, st.SendAt, st.ExpiresAt)
	}
	out, errs, _ := s.run("notice", "preview", dir)
	out += errs
	if !strings.Contains(out, "2099-07-01 09:00 America/New_York") {
		t.Errorf("the dry run does not say when it goes out:\n%s", out)
	}
	// As if the zone had changed since.
	s.sql(`UPDATE notice SET body = body || '{"send_at": "2027-11-07T01:30:00", "expires_at": "2027-11-07T01:45:00"}' RETURNING key`)
	write(t, manifest, strings.NewReplacer("2099-07-01 09:00", "2027-11-07T01:30", "2099-07-02T09:00", "2027-11-07 01:45").Replace(string(read(t, manifest))))
	if s.must(&r, "notice", "send", dir, "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}
}

func TestAKeyInOtherCapitalsIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(1)
	s.must(nil, "notice", "send", s.notice("Outage-7"), "--yes")
	if _, errs, code := s.run("notice", "send", s.notice("outage-7"), "--yes"); code != 1 || !strings.Contains(errs, `there is a notice "Outage-7"`) {
		t.Errorf("exit %d, %s", code, errs)
	}
	var r receipt
	if s.must(&r, "notice", "send", s.notice("Outage-7"), "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}
	// A ledger of before may have both.
	s.sql(`UPDATE notice SET key = 'outage-8' WHERE key = 'Outage-7' RETURNING key`)
	s.must(nil, "notice", "send", s.notice("outage-9"), "--yes")
	s.sql(`UPDATE notice SET key = 'OUTAGE-8' WHERE key = 'outage-9' RETURNING key`)
	s.must(nil, "notice", "cancel", "OUTAGE-8")
	if st := s.status("OUTAGE-8"); st.State != notice.Cancelled {
		t.Errorf("it is %s", st.State)
	}
	if st := s.status("outage-8"); st.State == notice.Cancelled {
		t.Error("the other one was cancelled too")
	}
}

func TestADraftIsDeletedAndANoticeIsNot(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	dir := s.notice("outage-1")
	s.must(nil, "notice", "preview", dir)
	if _, errs, code := s.run("notice", "send", dir); code != 2 { // leaves the draft
		t.Fatalf("exit %d, %s", code, errs)
	}
	s.must(nil, "notice", "delete", "outage-1")
	if _, errs, code := s.run("notice", "delete", "outage-1"); code != 1 || !strings.Contains(errs, "there is no notice") {
		t.Errorf("deleted again: exit %d, %s", code, errs)
	}
	var r receipt
	if s.must(&r, "notice", "send", dir, "--yes", "--json"); !r.Created {
		t.Errorf("sent after the deletion: %+v", r)
	}
	if _, errs, code := s.run("notice", "delete", "outage-1"); code != 1 || !strings.Contains(errs, "only a draft can be deleted") {
		t.Errorf("of a released notice: exit %d, %s", code, errs)
	}
}

func TestWithoutYesOffATerminalNothingIsSent(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	_, errs, code := s.run("notice", "send", s.notice("outage-1"))
	if code != 2 || !strings.Contains(errs, "--yes") {
		t.Errorf("exit %d, want 2 and a word about --yes:\n%s", code, errs)
	}
	if st := s.status("outage-1"); st.State != notice.Draft {
		t.Errorf("the notice is %s, want a draft", st.State)
	}
}
