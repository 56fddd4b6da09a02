package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// importing writes a file and imports it.
func (s *system) importing(text string, args ...string) (r notice.ImportReport, errs string, code int) {
	s.t.Helper()
	file := filepath.Join(s.write(map[string]string{"file": text}), "file")
	out, errs, code := s.run(append([]string{"customers", "import", file, "--json"}, args...)...)
	if out != "" {
		s.decode(out, &r)
	}
	return r, errs, code
}

// customerIs compares a customer with the output of customers show.
func (s *system) customerIs(want notice.Customer) {
	s.t.Helper()
	var got notice.Customer
	s.must(&got, "customers", "show", want.ID, "--json")
	if want.Attributes == nil {
		want.Attributes = map[string]string{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("customer %s (-want +got):\n%s", want.ID, diff)
	}
}

// found is how many customers a filter finds.
func (s *system) found(key, filter string) int {
	s.t.Helper()
	var plan notice.Plan
	s.must(&plan, "notice", "preview", s.notice(key, "audience: '"+filter+"'"), "--json")
	return plan.Customers
}

// TestCustomersThroughTheCommands imports files as they come from elsewhere, the way operators do it.
func TestCustomersThroughTheCommands(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work()

	// A file with some of the columns changes them alone, and everybody keeps their mailbox.
	s.importing("id,name,email,language,plan\nK1,Kim,kim@example.com,nl,gold\nK2,Lou,lou@example.com,,gold\n")
	if r, errs, code := s.importing("id,plan\nK1,silver\nK2,\n"); code != 0 || r.Updated != 2 || r.Cleared["attributes.plan"] != 1 {
		t.Errorf("exit %d, %+v, %s", code, r, errs)
	}
	s.customerIs(notice.Customer{ID: "K1", Name: "Kim", Email: "kim@example.com", Language: "nl", Attributes: map[string]string{"plan": "silver"}})
	s.must(nil, "notice", "send", s.notice("to-all", "audience: all"), "--yes", "--wait")
	if st := s.status("to-all"); st.Counts["sent"] != 2 {
		t.Errorf("after a file without addresses: %+v", st.Counts)
	}

	// Columns that look like a field.
	for header, field := range map[string]string{"mail": "email", "E-Mail": "email", "emial": "email", "Time Zone": "time_zone", "tz": "time_zone", "locale": "language"} {
		if _, errs, code := s.importing("id," + header + ",server\nM1,x,s1\n"); code != 1 || !strings.Contains(errs, "did you mean "+field+"?") {
			t.Errorf("column %s: exit %d, %s", header, code, errs)
		}
	}
	if r, errs, code := s.importing("Kundennr;E-Mail;tz;Notiz\nM1;m1@example.com;x;y\n", "--map", "Kundennr=id", "--map", "E-Mail=email", "--map", "Notiz=", "--attribute", "tz"); code != 0 || r.Inserted != 1 {
		t.Errorf("mapped columns: exit %d, %+v, %s", code, r, errs)
	}
	s.customerIs(notice.Customer{ID: "M1", Email: "m1@example.com", Attributes: map[string]string{"tz": "x"}})

	// Values that look the same are the same.
	s.importing("id,name,email,City\nN1,N,n1@example.com,Zürich\n")
	s.importing("id,name,email,city\nN2,N,n2@example.com,Zu\u0308rich\nN3,N,n3@example.com,Zürich\u200b\nN4,N,n4@example.com,\ufeffZürich\n")
	if n := s.found("city", "CITY = \"Zu\u0308rich\""); n != 4 {
		t.Errorf("the filter finds %d of 4", n)
	}

	// A Latin-1 file of a spreadsheet.
	if r, _, code := s.importing("sep=;\r\nid;name;email;;\r\n=\"007\";J\xfcrgen Gro\xdf;j@example.com.;;\r\n1,2E+11;x;;;\r\n"); code != 1 || r.Inserted != 1 || r.Encoding != "windows-1252" {
		t.Errorf("exit %d, %+v", code, r)
	}
	s.customerIs(notice.Customer{ID: "007", Name: "Jürgen Groß", Email: "j@example.com"})

	// Text in a cell is no customer, and half a file is none.
	_, errs, code := s.importing("id,name,notes\nQ1,Ann,\"she \\\"said\"\nQ9,Eve,\n\"\n")
	if code != 1 || !strings.Contains(errs, "line 2") {
		t.Errorf("exit %d, %s", code, errs)
	}
	for _, id := range []string{"Q1", "Q9"} {
		if _, _, code := s.run("customers", "show", id); code != 1 {
			t.Errorf("%s is there", id)
		}
	}
	// One mailbox, spelt in many ways, gets one mail.
	s.importing("id,name,email,Server,box\nB1,B,Jörg@box.example,s7,y\nB2,B,jo\u0308rg@BOX.example.,s7,y\nB3,B,JÖRG@box．example,s7,y\nB4,B,u@ab--c.example,s7,y\nB5,B,u@AB--C.example.,s7,y\n")
	s.must(nil, "notice", "send", s.notice("boxes", "audience: 'box = \"y\"'"), "--yes", "--wait")
	if st := s.status("boxes"); st.Counts["sent"] != 2 || st.Customers != 5 {
		t.Errorf("two mailboxes: %+v", st)
	}
	// The text asks for .Customer.Attributes.server.
	for address, m := range s.mailsOf("boxes") {
		if m.Subject != "Mail is down on s7" {
			t.Errorf("the subject to %s is %q", address, m.Subject)
		}
	}
}

func TestCustomersAreListedExportedAndErased(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.importing("id,name,email,plan,note\n1,Ann,ann@example.com,gold,\"a \"\"b\"\", c\"\n2,Bob,shared@example.com,,\n3,Cid,shared@example.com,,\n")
	var list struct {
		Customers []notice.Customer
		Next      *string
	}
	s.must(&list, "customers", "list", "--limit", "2", "--json")
	if len(list.Customers) != 2 || list.Next == nil || *list.Next != "2" {
		t.Errorf("the list is %+v", list)
	}
	s.must(&list, "customers", "find", "SHARED@", "--json")
	if len(list.Customers) != 2 {
		t.Errorf("found %+v", list)
	}
	// Customers that are exported and imported again are unchanged, all of them.
	for _, format := range []string{"csv", "ndjson"} {
		file := filepath.Join(t.TempDir(), "all."+format)
		s.must(nil, "customers", "export", "--format", format, "--out", file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if r, errs, code := s.importing(string(text), "--format", format, "--sync"); code != 0 || r.Unchanged != 3 || r.Retired != 0 {
			t.Errorf("%s: exit %d, %+v, %s\n%s", format, code, r, errs, text)
		}
	}
	if r, _, code := s.importing("id\n1\n2\n", "--sync", "--max-retired", "40", "--dry-run"); code != 0 || r.Retired != 1 || r.Kept {
		t.Errorf("dry run: exit %d, %+v", code, r)
	}
	if _, errs, code := s.importing("id\n1\n2\n", "--sync"); code != 1 || !strings.Contains(errs, "--max-retired 34") {
		t.Errorf("too many retired: exit %d, %s", code, errs)
	}
	s.must(nil, "customers", "check")
	if _, errs, code := s.run("customers", "delete", "shared@example.com"); code != 1 || !strings.Contains(errs, "2, 3") {
		t.Errorf("an address of two: exit %d, %s", code, errs)
	}
	s.must(nil, "customers", "delete", "Ann@example.com")
	if _, _, code := s.run("customers", "show", "1"); code != 1 {
		t.Error("customer 1 is there")
	}
}
