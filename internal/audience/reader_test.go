package audience

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// readAll reads a file to its end and gives up after more rows than it can hold.
func readAll(t *testing.T, file string, format FileFormat) (rows []notice.CustomerRow, rejected []notice.Rejection, err error) {
	t.Helper()
	r, err := NewReader(strings.NewReader(file), FileOptions{Format: format})
	if err != nil {
		return nil, nil, err
	}
	for range strings.Count(file, "\n") + 2 {
		row, rejection, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			if _, _, again := r.Next(); again != io.EOF {
				t.Errorf("after the end: %v", again)
			}
			return rows, rejected, nil
		case err != nil:
			return rows, rejected, err
		case rejection != nil:
			rejected = append(rejected, *rejection)
		default:
			rows = append(rows, row)
		}
	}
	t.Fatalf("no end of %.200q", file)
	return nil, nil, nil
}

func acme(line int) notice.CustomerRow {
	return notice.CustomerRow{
		Line: line, Given: notice.GivenAll &^ notice.GivenAttributes, EmailKey: "info@xn--acm-dma.example", AlternateEmailKey: "acme@example.com",
		Customer: notice.Customer{
			ID: "1001", Name: "Acmé, Bakers", Email: "Info@Acmé.example", AlternateEmail: "acme@example.com",
			Language: "de-CH", TimeZone: "Europe/Zurich", Attributes: map[string]string{"plan": "trial", "server": "s639"},
		},
	}
}

const head = "id,name,email,alternate_email,language,time_zone,plan,server\n"

func TestReaderReadsCustomers(t *testing.T) {
	t.Parallel()
	record := `1001,"Acmé, Bakers",Info@Acmé.example,acme@example.com,de_CH,Europe/Zurich,trial,s639` + "\n"
	other := func(delimiter string) string {
		return strings.Join([]string{"1001", `"Acmé, Bakers"`, "Info@Acmé.example", "acme@example.com", "de-ch", "Europe/Zurich", "trial", "s639"}, delimiter)
	}
	for name, c := range map[string]struct {
		format FileFormat
		file   string
		line   int
	}{
		"a plain file":                {FormatCSV, head + record, 2},
		"no line end at the end":      {FormatCSV, head + strings.TrimSpace(record), 2},
		"CRLF":                        {FormatCSV, strings.ReplaceAll(head+record, "\n", "\r\n"), 2},
		"a byte order mark":           {FormatCSV, "\ufeff" + head + record, 2},
		"a quoted first name":         {FormatCSV, "\ufeff\"" + strings.Replace(head, "id", "id\"", 1) + record, 2},
		"semicolons":                  {FormatCSV, strings.ReplaceAll(head, ",", ";") + other(";") + "\n", 2},
		"tabs":                        {FormatCSV, strings.ReplaceAll(head, ",", "\t") + other("\t") + "\n", 2},
		"any case and blanks":         {FormatCSV, " ID , Name,EMAIL,Alternate_Email,Language,Time_Zone, plan,server \n" + record, 2},
		"blank lines and rows":        {FormatCSV, "\n" + head + "\n \n,,,,,,,\n" + record + "\n\n", 6},
		"blanks around cells":         {FormatCSV, head + strings.ReplaceAll(other(" , "), ` "Acmé, Bakers" `, `"  Acmé, Bakers "`) + "\u00a0\n", 2},
		"any order":                   {FormatCSV, "plan,time_zone,language,alternate_email,email,name,id,server\ntrial,Europe/Zurich,de-CH,acme@example.com,Info@Acmé.example,\"Acmé, Bakers\",1001,s639", 2},
		"an empty attribute":          {FormatCSV, "seats," + head + "," + record, 2},
		"NDJSON":                      {FormatNDJSON, `{"id":"1001","name":"Acmé, Bakers","email":"Info@Acmé.example","alternate_email":"acme@example.com","language":"de_CH","time_zone":"Europe/Zurich","attributes":{"plan":"trial","server":"s639","seats":""}}`, 1},
		"NDJSON in any order":         {FormatNDJSON, "\ufeff\n" + `{"attributes":{"server":"s639","plan":"trial","seats":null},"time_zone":"Europe/Zurich","language":"de-CH","alternate_email":"acme@example.com","email":"Info@Acmé.example","name":" Acmé, Bakers","id":"1001"}` + "\r\n\r\n", 2},
		"NDJSON with blanks about it": {FormatNDJSON, ` { "id" : "1001" , "name":"Acm\u00e9, Bakers","email":"Info@Acmé.example","alternate_email":"acme@example.com","language":"de-CH","time_zone":"Europe/Zurich","attributes":{"plan":"trial","server":"s639"} } `, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, rejected, err := readAll(t, c.file, c.format)
			if err != nil || len(rejected) > 0 {
				t.Fatalf("rejected %+v, %v", rejected, err)
			}
			want := acme(c.line)
			if strings.Contains(c.file, "seats") {
				want.Customer.Attributes["seats"] = ""
			}
			if diff := cmp.Diff([]notice.CustomerRow{want}, rows); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestReaderTakesAMinimalCustomer(t *testing.T) {
	t.Parallel()
	want := []notice.CustomerRow{{Line: 2, Customer: notice.Customer{ID: "7", Attributes: map[string]string{}}}}
	rows, rejected, err := readAll(t, "id\n7\n", FormatCSV)
	if diff := cmp.Diff(want, rows); diff != "" || err != nil || rejected != nil {
		t.Errorf("%v, %v, -want +got\n%s", rejected, err, diff)
	}
	want[0].Line, want[0].Given = 1, notice.GivenEmail|notice.GivenLanguage
	want[0].Customer.Attributes = map[string]string{"seats": "1.50", "beta": "true"}
	rows, rejected, err = readAll(t, `{"id":"7","email":null,"language":"","attributes":{"seats":1.50,"beta":true}}`, FormatNDJSON)
	if diff := cmp.Diff(want, rows); diff != "" || err != nil || rejected != nil {
		t.Errorf("%v, %v, -want +got\n%s", rejected, err, diff)
	}
}

func TestReaderRejectsRowsAndGoesOn(t *testing.T) {
	t.Parallel()
	const h = "id,name,email,language,time_zone,plan\n"
	last := "9,,,,,\n"
	for name, c := range map[string]struct {
		rows         string
		line         int
		column, want string
	}{
		"no id":                          {",Acme,,,,\n", 2, "id", "is missing"},
		"a blank id":                     {" ,Acme,,,,\n", 2, "id", "is missing"},
		"a long id":                      {strings.Repeat("1", 256) + ",,,,,\n", 2, "id", "longer than 255 bytes"},
		"a malformed address":            {"1,Acme,acme.example,,,\n", 2, "email", "has no @"},
		"an address with a single label": {"1,Acme,root@localhost,,,\n", 2, "email", "single label"},
		"no language":                    {"1,Acme,,german,,\n", 2, "language", notALanguage},
		"an undetermined language":       {"1,Acme,,und,,\n", 2, "language", notALanguage},
		"a private language":             {"1,Acme,,x-ours,,\n", 2, "language", notALanguage},
		"a locale of the C library":      {"1,Acme,,de_DE.UTF-8,,\n", 2, "language", notALanguage},
		"no zone":                        {"1,Acme,,,W. Europe Standard Time,\n", 2, "time_zone", notAZone},
		"a zone in the wrong case":       {"1,Acme,,,america/port_of_spain,\n", 2, "time_zone", "did you mean America/Port_of_Spain?"},
		"the machine's zone":             {"1,Acme,,,Local,\n", 2, "time_zone", notAZone},
		"a path for a zone":              {"1,Acme,,,../zoneinfo/UTC,\n", 2, "time_zone", notAZone},
		"too few cells":                  {"1,Acme\n", 2, "", "has 2 cells where the header has 6"},
		"too many cells":                 {"1,Acme, Inc,,,,\n", 2, "", "has 7 cells where the header has 6"},
		"a bare quote":                   {"1,5\" disks,,,,\n", 2, "", "a quote inside a cell without quotes"},
		"a line break in a cell":         {"1,\"Acme\nInc\",,,,\n", 2, "name", "a line break"},
		"a carriage return":              {"1,Ac\rme,,,,\n", 2, "name", "a line break"},
		"a header injection":             {"1,\"Acme\r\nBcc: x@example.com\",,,,\n", 2, "name", "a line break"},
		"a tab":                          {"1,Acme,,,,tri\tal\n", 2, "plan", "control character U+0009"},
		"a NUL":                          {"1,Acme,,,,tri\x00al\n", 2, "plan", "control character U+0000"},
		"a tab at the end":               {"1,Acme\t,,,,\n", 2, "name", "control character U+0009"},
		"a control character at the end": {"1,Acme,a@b.example\x7f,,,\n", 2, "email", "control character U+007F"},
		"a line separator":               {"1,Ac\u2028me,,,,\n", 2, "name", "a line break"},
		"a long name":                    {"1," + strings.Repeat("é", 501) + ",,,,\n", 2, "name", "longer than 1000 bytes"},
		"a long attribute":               {"1,,,,," + strings.Repeat("a", 4001) + "\n", 2, "plan", "longer than 4000 bytes"},
		"the first of several bad cells": {"1,Acme,acme,xx,Mars,\n", 2, "email", "has no @"},
		"a line longer than a mebibyte":  {"1," + strings.Repeat("a", 1<<20) + ",,,,\n", 2, "", lineTooLong},
		"a line behind blank ones":       {"\n\n1,Acme,acme,,,\n", 4, "email", "has no @"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, rejected, err := readAll(t, h+c.rows+last, FormatCSV)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 || rows[len(rows)-1].Customer.ID != "9" {
				t.Errorf("the last row is not read: %+v", rows)
			}
			if len(rejected) == 0 {
				t.Fatal("nothing is rejected")
			}
			r := rejected[0]
			if r.Line != c.line || r.Column != c.column || !strings.Contains(r.Reason, c.want) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestReaderCountsTheLinesOfQuotedRecords(t *testing.T) {
	t.Parallel()
	_, rejected, err := readAll(t, "id,name\n1,\"a\n\nb\"\n,\"x \"\"y\"\"\"\n", FormatCSV)
	want := []notice.Rejection{{Line: 2, Column: "name", Reason: "holds a line break"}, {Line: 5, Column: "id", Reason: "is missing"}}
	if diff := cmp.Diff(want, rejected); diff != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, diff)
	}
}

func TestReaderRejectsObjects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ object, column, want string }{
		"no JSON":                     {`id,name`, "", "not one JSON object"},
		"a broken value":              {`{"id":nope}`, "", "not one JSON object"},
		"no colon":                    {`{"id" "1"}`, "", "not one JSON object"},
		"two objects":                 {`{"id":"1"}{"id":"2"}`, "", "not one JSON object"},
		"a text":                      {`"id"`, "", "not one JSON object"},
		"no id":                       {`{"name":"Acme"}`, "id", "is missing"},
		"a number for an id":          {`{"id":1}`, "id", "text in quotes"},
		"an object for a name":        {`{"id":"1","name":{"first":"A"}}`, "name", "text in quotes"},
		"an unknown key":              {`{"id":"1","plan":"trial"}`, "plan", `attributes stand in "attributes"`},
		"an unknown key like another": {`{"id":"1","Name":"x"}`, "Name", "is no field"},
		"a key that is a text":        {`{"id":"1","what is this":"x"}`, `"what is this"`, "is no field"},
		"a key twice":                 {`{"id":"1","name":"a","name":"b"}`, "name", "twice"},
		"an attribute twice":          {`{"id":"1","attributes":{"plan":"a","plan":"b"}}`, "attributes.plan", "twice"},
		"attributes in a list":        {`{"id":"1","attributes":["plan"]}`, "attributes", "must be an object"},
		"a list for an attribute":     {`{"id":"1","attributes":{"plan":["a"]}}`, "attributes.plan", "must be text"},
		"an attribute's odd name":     {`{"id":"1","attributes":{"a plan":"a"}}`, `attributes."a plan"`, "is no name"},
		"an attribute like a column":  {`{"id":"1","attributes":{"email":"a@b.example"}}`, "attributes.email", "is a field"},
		"a control character":         {`{"id":"1","name":"a\u0000b"}`, "name", "control character U+0000"},
		"a line break in it":          {`{"id":"1","attributes":{"plan":"a\nb"}}`, "attributes.plan", "line break"},
		"a malformed address":         {`{"id":"1","alternate_email":"a"}`, "alternate_email", "has no @"},
		"invalid UTF-8":               {"{\"id\":\"1\",\"name\":\"é\xff\"}", "", "not UTF-8"},
		"too long a line":             {`{"id":"1","name":"` + strings.Repeat("a", 1<<20) + `"}`, "", lineTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, rejected, err := readAll(t, "{\"id\":\"0\"}\n"+c.object+"\n{\"id\":\"9\"}\n", FormatNDJSON)
			if len(rows) != 2 || len(rejected) != 1 || err != nil {
				t.Fatalf("%d rows, rejected %+v, %v", len(rows), rejected, err)
			}
			if r := rejected[0]; r.Line != 2 || r.Column != c.column || !strings.Contains(r.Reason, c.want) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestNewReaderRefusesFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format     FileFormat
		file, want string
	}{
		"an empty one":             {FormatCSV, "", "is empty"},
		"a blank one":              {FormatCSV, "\ufeff\r\n \n", "is empty"},
		"one without an id":        {FormatCSV, "name,email\n", "one of them id"},
		"one without a header":     {FormatCSV, "1001,Acme,info@acme.example\n", "one of them id"},
		"two columns of a name":    {FormatCSV, "id,plan,plan\n", "two columns plan"},
		"two columns but for case": {FormatCSV, "id,Email,EMAIL\n", "two columns email"},
		"a column without a name":  {FormatCSV, "id,,name\n", "column 2 has no name"},
		"an attribute's odd name":  {FormatCSV, "id,web server\n", `column 2, "web server", is no name`},
		"a long name":              {FormatCSV, "id," + strings.Repeat("a", 65) + "\n", "is no name"},
		"a header beyond ASCII":    {FormatCSV, "id,pl\xe4n\n", `"plän", is no name`},
		"line ends of old":         {FormatCSV, "id,name\r1,Acme\r", "CR alone"},
		"a broken quote":           {FormatCSV, "id,\"name\n", "never closed"},
		"too long a header":        {FormatCSV, "id," + strings.Repeat("a", 1<<20), lineTooLong},
		"a JSON array":             {FormatNDJSON, "[{\"id\":\"1\"}]\n", "is a JSON array"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewReader(strings.NewReader(c.file), FileOptions{Format: c.format})
			e, ok := errors.AsType[*notice.Error](err)
			if !ok || e.Field != "file" || !strings.Contains(e.Message, c.want) || strings.Contains(e.Message, "acme.example") {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := NewReader(strings.NewReader(""), FileOptions{}); err == nil {
		t.Error("a file of no format is read")
	}
	if rows, rejected, err := readAll(t, "", FormatNDJSON); rows != nil || rejected != nil || err != nil {
		t.Errorf("empty NDJSON: %v, %v, %v", rows, rejected, err)
	}
}

func TestReaderReportsTheErrorOfItsFile(t *testing.T) {
	t.Parallel()
	cause := errors.New("the line went dead")
	for format, file := range map[FileFormat]string{FormatCSV: "id,name\n1,Acme\n2,Bo", FormatNDJSON: "{\"id\":\"1\"}\n{\"id\""} {
		r, err := NewReader(io.MultiReader(strings.NewReader(file), iotest.ErrReader(cause)), FileOptions{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		if row, rejection, err := r.Next(); row.Customer.ID != "1" || rejection != nil || err != nil {
			t.Errorf("got %+v, %v, %v", row, rejection, err)
		}
		for range 2 {
			if _, rejection, err := r.Next(); !errors.Is(err, cause) || rejection != nil {
				t.Errorf("got %v, %v", rejection, err)
			}
		}
	}
	if _, err := NewReader(iotest.ErrReader(cause), FileOptions{Format: FormatCSV}); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
