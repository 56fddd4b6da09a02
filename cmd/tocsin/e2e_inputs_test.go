package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"tocsin/internal/notice"
)

// The inputs of these tests once led to wrong mails, or to none, without a word. Each is one of a kind; "also" says
// which others of its kind are treated alike, and are gone through by the tests of the packages. Some have tests of
// their own: A5 TestTheWaitFailsWhereNobodyWasReached, E9 TestABadNoticeIsRefusedAtItsPlaceAndNothingIsSent, H1
// TestNoticesComeInPages and H4 TestADraftIsDeletedAndANoticeIsNot.

// TestFilesThatWentWrong imports customers.
func TestFilesThatWentWrong(t *testing.T) {
	t.Parallel()
	s := start(t)
	wide := func(text string) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(text)) {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
		return b.String()
	}
	for _, c := range []struct {
		id, kind, also string
		file           string
		refused        string            // a part of the output; "" = all rows are kept
		kept           []notice.Customer // afterwards
	}{
		{"A1", "a file with some of the columns", "NDJSON, PUT and PATCH; every field and attribute", "id,name,email,language,plan\nA1,Ann,a1@example.com,nl,gold\n", "",
			[]notice.Customer{{ID: "A1", Name: "Ann", Email: "a1@example.com", Language: "nl", Attributes: map[string]string{"plan": "gold"}}}},
		{"A1", "a file with some of the columns", "", "id,plan\nA1,silver\n", "",
			[]notice.Customer{{ID: "A1", Name: "Ann", Email: "a1@example.com", Language: "nl", Attributes: map[string]string{"plan": "silver"}}}},
		{"B1", "a column whose name is nearly a field's", "case, blanks, hyphens, a letter too many, other words; --map and --attribute decide", "id,mail,server\nB1,b@example.com,s1\n", "did you mean email?", nil},
		{"B2", "a column whose name is nearly a field's", "", "id,e_mail,server\nB1,b@example.com,s1\n", "did you mean email?", nil},
		{"B3", "a column whose name is nearly a field's", "", "id,email_address,server\nB1,b@example.com,s1\n", "did you mean email?", nil},
		{"B4", "a column whose name is nearly a field's", "", "id,timezone,server\nB1,Europe/Paris,s1\n", "did you mean time_zone?", nil},
		{"B5", "a column whose name is nearly a field's", "", "id,lang,server\nB1,nl,s1\n", "did you mean language?", nil},
		{"C1", "an invisible character in an id", "zero-width and other format characters, at any place", "\ufeffid,name,email\nC1a,Ann,c1a@example.com\n\ufeffC1b,Bea,c1b@example.com\n", "",
			[]notice.Customer{{ID: "C1b", Name: "Bea", Email: "c1b@example.com"}}},
		{"C2", "an invisible character in an attribute", "names, lists, values of filters; ZWJ and ZWNJ within a word stay", "id,email,server\nC2,c2@example.com,s639\u200b\n", "",
			[]notice.Customer{{ID: "C2", Email: "c2@example.com", Attributes: map[string]string{"server": "s639"}}}},
		{"C3", "composed and decomposed letters", "names, attributes and their names, lists, filters", "id,email,city\nC3,c3@example.com,Zu\u0308rich\n", "",
			[]notice.Customer{{ID: "C3", Email: "c3@example.com", Attributes: map[string]string{"city": "Zürich"}}}},
		{"C4", "composed and decomposed letters in an id", "", "id,email\nCafe\u0301,c4@example.com\n", "", []notice.Customer{{ID: "Café", Email: "c4@example.com"}}},
		{"C5", "a name of invisible characters alone", "every field; blank Braille, Hangul fillers, soft hyphens", "id,name,email\nC5,\u2800\u3164\u00ad,c5@example.com\n", "",
			[]notice.Customer{{ID: "C5", Email: "c5@example.com"}}},
		{"C9", "half of a surrogate pair", "every field, in PUT and PATCH too", `{"id":"N14\ud800","email":"n14@example.com"}` + "\n", "id", nil},
		{"C10", "an id of an invisible character alone", "", "id,email\n\u200b,c10@example.com\n", "is missing", nil},
		{"C11", "the punctuation of a word processor", "dashes and quotes in both parts of an address", "id,email\nO1,o’brien@example.com\n", "U+2019", nil},
		{"D1", "a line that names the separator", "any of comma, semicolon, tab and bar", "sep=;\r\nid;name;email\r\nD1;Zoë;d1@example.com\r\n", "", []notice.Customer{{ID: "D1", Name: "Zoë", Email: "d1@example.com"}}},
		{"D2", "columns at the end without a name", "any number, as long as nothing stands in them", "id,name,email,,\nD2,Ann,d2@example.com,,\n", "", []notice.Customer{{ID: "D2", Name: "Ann", Email: "d2@example.com"}}},
		{"D3", "empty cells beyond the header", "", "id,name,email\nD3,Ann,d3@example.com,\n", "", []notice.Customer{{ID: "D3", Name: "Ann", Email: "d3@example.com"}}},
		{"D4", "an id that a spreadsheet has shortened", "either case, either sign, a decimal comma", "id,email\n1.23457E+11,d4@example.com\n", "shortened", nil},
		{"D5", "a formula that keeps the zeros of an id", "every cell", "id,email\n\"=\"\"00123\"\"\",d5@example.com\n", "", []notice.Customer{{ID: "00123", Email: "d5@example.com"}}},
		{"D6", "UTF-16 without a mark", "either order of bytes; Windows-1252 and other single bytes", wide("id,email\r\nD6,d6@example.com\r\n"), "", []notice.Customer{{ID: "D6", Email: "d6@example.com"}}},
		{"D7", "a workbook called CSV", "gzip, HTML, JSON, PDF, old workbooks", "PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00[Content_Types].xml", "xlsx", nil},
		{"D11", "the text of a cell as a row", "after any quote error, and in a cell over the bound", "id,name,email,notes\n1,Ann,ann@example.com,\"says \\\"hi\\\"\nX9,Eve,eve@evil.example,\n\"\n2,Bob,bob@example.com,ok\n", "line 2", nil},
		{"D12", "the text of a cell as a row", "", "id,name,email,notes\n1,Ann,ann@example.com,\"" + strings.Repeat("long ", 30_000) + "\nX9,Eve,eve@evil.example,\n\"\n", "notes", nil},
		{"I1", "an address that no mail can be made for", "one parser for the import and the mail: hyphens, dots, quotes", "id,name,email\nI1,Ida,user@ab--cd.example\nI2,Ivo,Shared@Example.com.\nI2b,Iva,shared@example.com\n", "",
			[]notice.Customer{{ID: "I1", Name: "Ida", Email: "user@ab--cd.example"}}},
	} {
		args := []string(nil)
		if strings.HasPrefix(c.file, "{") {
			args = []string{"--format", "ndjson"}
		}
		r, errs, code := s.importing(c.file, args...)
		said := errs
		for _, bad := range r.Rejected {
			said += bad.Column + " " + bad.Reason + "\n"
		}
		if (code == 0) != (c.refused == "") || !strings.Contains(said, c.refused) {
			t.Errorf("%s, %s: exit code %d, want it to say %q: %+v\n%s", c.id, c.kind, code, c.refused, r, errs)
			continue
		}
		for _, want := range c.kept {
			s.customerIs(want)
		}
	}
	for _, never := range []string{"X9", "N14", "B1"} {
		if out, _, code := s.run("customers", "show", never); code != 1 {
			t.Errorf("customer %s is there:\n%s", never, out)
		}
	}
	// I1 and I2: the spelling that one customer's file had keeps the mail from nobody else.
	s.work()
	s.must(nil, "notice", "send", s.notice("sendable", `audience: 'id = "I*"'`), "--yes", "--wait")
	if st := s.status("sendable"); st.Counts["sent"] != 2 || st.Customers != 3 {
		t.Errorf("I1, I2: %+v", st)
	}
	// B20: attribute names that differ by capitals are one attribute, across files.
	s.importing("id,name,email,Plan\nP1,Pat,p1@example.com,B20\n")
	s.importing("id,name,email,plan\nP2,Pim,p2@example.com,B20\n")
	if n := s.found("b20", `plan = "B20"`); n != 2 {
		t.Errorf("B20: a filter finds %d customers, want 2", n)
	}
}

// post sends a JSON document as it stands, and returns the answer.
func (s *system) post(path, body string) (status int, answer string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.address()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer s3cret")
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestNoticesThatWentWrong makes the dry run of notices.
func TestNoticesThatWentWrong(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.importing("id,name,email,alternate_email,language,plan,region,seats,server\n" +
		"1,Ann,a1@mail.example,x@alt.example,de-CH,gold,EU-west,9,s1\n2,Bea,a2@example.com,,de,,,10,s2\n3,Cy,a3@example.com,,en,,,100,s3\n")
	long := `server = \"s0\"`
	for range 400 {
		long += ` OR server = \"s1\"`
	}
	text := func(body string) string {
		quoted, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return `"audience":"all","texts":{"en":{"subject":"s","body":` + string(quoted) + `}}`
	}
	const plain = `"texts":{"en":{"subject":"s","body":"b"}}`
	const windows = `"kind":"maintenance","phase":"scheduled","audience":"all","texts":{"en":{"subject":"s","body":"{{range .Windows}}{{.}}{{end}}"}},`
	for _, c := range []struct {
		id, kind, also string
		body           string // without the key; kind and phase are those of an outage unless it has its own
		says           string // stands in the answer
		customers      int    // of the plan; 0 = it is refused
	}{
		{"E1", "an audience that says nothing", "absent, null, in YAML a comment or an empty mapping", `"audience":"",` + plain, "says nobody", 0},
		{"E2", "an audience that says nothing", "", `"audience":{},` + plain, "says nobody", 0},
		{"E3", "an audience that says nothing", "", `"audience":{"filter":""},` + plain, "says nobody", 0},
		{"E4", "an audience that says nothing", "", `"audience":{"notice":""},` + plain, "says nobody", 0},
		{"E5", "an audience that says nothing", "", `"audience":{"customers":null},` + plain, "says nobody", 0},
		{"E5", "a member of an audience that says nothing", "null, an empty text or list beside another member", `"audience":{"notice":"x","state":[]},` + plain, "state says nothing", 0},
		{"E5", "a member of an audience that says nothing", "", `"audience":{"customers":["1"],"filter":null},` + plain, "filter says nothing", 0},
		{"A2", "an audience that is not there", "", plain, "says nobody", 0},
		{"E10", "a member that stands twice", "in every body, at any depth, and in other capitals", `"audience":"plan = \"gold\"","audience":"all",` + plain, "twice", 0},
		{"E12", "a text with a star", "at the begin, the end and within", `"audience":"region = \"EU*\"",` + plain, "", 1},
		{"E13", "an order of text where numbers are meant", "each of < <= > >=, in filters and texts", `"audience":"seats > \"9\"",` + plain, "quotes", 0},
		{"E14", "a filter with hundreds of values", "IN, and IN with a file of values; up to the bind limits", `"audience":"` + long + `",` + plain, "", 1},
		{"E16", "a language without its regions", "scripts too; == compares letter by letter", `"audience":"language = \"de\"",` + plain, "", 2},
		{"E17", "a broken domain that nobody has", "broken: domains and filter", `"audience":"all","broken_domains":["mail.exmaple"],` + plain, "mail.example", 0},
		{"F1", "a time of the clock that does not exist", "windows, holds, send_at, expires_at, dates in texts, parameters and attributes",
			windows + `"zone":"America/New_York","windows":[{"start":"2027-03-14T02:30","end":"2027-03-14T06:00"}]`, "does not exist", 0},
		{"F2", "a time of the clock that does not exist", "", windows + `"zone":"Europe/Amsterdam","windows":[{"start":"2027-03-28T02:30","end":"2027-03-28T06:00"}]`, "does not exist", 0},
		{"F3", "a time of the clock that comes twice", "as above", windows + `"zone":"Europe/Amsterdam","windows":[{"start":"2027-10-31T02:30","end":"2027-10-31T06:00"}]`, "comes twice", 0},
		{"F3", "a time of the clock that comes twice", "", windows + `"zone":"America/New_York","windows":[{"start":"2027-11-07T01:30","end":"2027-11-07T06:00"}]`, "comes twice", 0},
		{"F7", "an announcement of what is over", "windows, next_update, send_at, expires_at; named in the dry run, and refused at the release",
			windows + `"windows":[{"start":"2019-03-27T22:00","end":"2019-03-27T23:00"}]`, `"check":"past"`, 3},
		{"G1", "a link that leads nowhere", "images, autolinks, references; with the values of each recipient filled in", text("[status](status.example.net/x)"), "https://", 0},
		{"G2", "a link that leads nowhere", "every scheme but http, https, mailto, tel", text("[status](javascript:alert(1))"), "https://", 0},
		{"G3", "a link that leads nowhere", "", text("[status](/status)"), "https://", 0},
		{"G4", "a link that leads nowhere", "", text("[status](https:/st.example)"), "https://", 0},
		{"G5", "a link that leads nowhere", "", text("[s](htps://st.example/)"), "https://", 0},
		{"I6", "a link without an address", "", text("Hello [status]() x"), "https://", 0},
		{"G10", "a link of a ready text", "each parameter that a template links", `"audience":"all","template":"outage","severity":"major","parameters":{"component":"mail","status_page":"status.example.net"}`, "https://", 0},
		{"G11", "a host in other letters", "both parts of the mail", text("[s](https://münchen.example/ä)"), "https://xn--mnchen-3ya.example/", 3},
		{"G12", "a table", "strike-through; alignment; both parts", text("| Service | Start |\n|---|---|\n| web | 21:00 |\n"), "\\u003ctable|<table", 3},
		{"G14", "an order of text in a text", "", text(`{{if ge .Customer.Attributes.seats "10"}}LARGE{{else}}SMALL{{end}}`), "without quotes", 0},
		{"G16", "a placeholder that is left over", "braces of other tools, brackets, TODO; none of it in code", text("Hi {.Customer.Name}}, all is well"), `"check":"placeholders"`, 3},
		{"G18", "letters beyond ASCII in a sender's address", "from and reply_to", text("b") + `,"reply_to":"jörg@example.com"`, "reply_to", 0},
	} {
		body := `{"key":"k-` + strings.ToLower(c.id) + `",` + c.body + "}"
		if !strings.Contains(c.body, `"kind"`) {
			body = `{"kind":"outage","phase":"identified",` + body[1:]
		}
		status, answer := s.post("/v1/notices/preview", body)
		var plan notice.Plan
		if err := json.Unmarshal([]byte(answer), &plan); err != nil {
			t.Fatalf("%s: %v\n%s", c.id, err, answer)
		}
		said := false
		for says := range strings.SplitSeq(c.says, "|") {
			said = said || strings.Contains(answer, says)
		}
		if (status == http.StatusOK) != (c.customers > 0) || plan.Customers != c.customers || !said {
			t.Errorf("%s, %s: status %d, %d customers, want %d and %q:\n%.2000s", c.id, c.kind, status, plan.Customers, c.customers, c.says, answer)
		}
	}
	// I7: keys that differ by capitals are one key.
	if status, answer := s.post("/v1/notices", `{"key":"Outage-7","kind":"outage","phase":"identified","audience":"all",`+plain+"}"); status != http.StatusCreated {
		t.Fatalf("status %d, %s", status, answer)
	}
	if status, answer := s.post("/v1/notices", `{"key":"outage-7","kind":"outage","phase":"identified","audience":"all",`+plain+"}"); status == http.StatusCreated || !strings.Contains(answer, "Outage-7") {
		t.Errorf("I7: status %d, %s", status, answer)
	}
	// H2: a pattern is no address that could be suppressed.
	if out, errs, code := s.run("suppressions", "import", s.write(map[string]string{"s.csv": "address\n*@*.example.org\n"})+"/s.csv"); code != 1 {
		t.Errorf("H2: exit code %d, %s%s", code, out, errs)
	}
}
