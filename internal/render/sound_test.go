package render

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

func TestANewNoticeIsRefusedForWhatDoesNotReadAsItWorks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, want string }{ // "" = it is sound
		"an order of quoted numerals":     {`a{{if ge .Customer.Attributes.seats "10"}}x{{end}}`, `texts.en.body:1: ge .Customer.Attributes.seats "10" compares text, in which "9" comes after "10": write the number without quotes`},
		"in a pipe":                       {"a\n\n{{if \"10\" | lt .Customer.Attributes.seats}}x{{end}}", "texts.en.body:3: "},
		"in a default":                    {`a{{if gt (default "0" .Customer.Attributes.seats) "x"}}x{{end}}`, "texts.en.body:1: "},
		"in a variable":                   {`{{$big := ge .Customer.Attributes.seats "10.5"}}a{{if $big}}x{{end}}`, "texts.en.body:1: "},
		"of a parameter":                  {`a{{if ge .Customer.Attributes.seats .Parameters.least}}x{{end}}`, "texts.en.body:1: "},
		"an order of numbers":             {`a{{if ge .Customer.Attributes.seats 10}}x{{end}}`, ""},
		"an order of words":               {`a{{if lt .Customer.Name "M"}}x{{end}}`, ""},
		"an equal of quoted numerals":     {`a{{if eq .Customer.Attributes.seats "10"}}x{{end}}`, ""},
		"a number that is a word":         {`a{{if eq "many" 10}}x{{end}}`, "texts.en.body:1: "},
		"a severity that does not exist":  {`a{{if eq .Notice.Severity "high" "major"}}x{{end}}`, `texts.en.body:1: eq .Notice.Severity "high" "major": no notice is "high": it is one of minor, major, critical`},
		"a phase that does not exist":     {`a{{if ne .Notice.Phase "solved"}}x{{end}}`, "texts.en.body:1: "},
		"a severity":                      {`a{{if eq .Notice.Severity "major"}}x{{end}}`, ""},
		"a link without a scheme":         {"a\n\n[status](status.example.net/x)", `texts.en.body:3: the address "status.example.net/x" of a link has no scheme: a link in a mail begins with https://, http://, mailto: or tel:`},
		"a link to a script":              {"[status](javascript:alert(1))", "texts.en.body:1: "},
		"a link on another host":          {"[status](/status)", "texts.en.body:1: "},
		"a link on no host":               {"[status](https:/st.example)", `texts.en.body:1: the address "https:/st.example" of a link has no host`},
		"a link with another scheme":      {"[s](htps://st.example/)", `texts.en.body:1: the address "htps://st.example/" of a link has the scheme htps`},
		"a link with no address":          {"Hello [status]() x", `texts.en.body:1: the address "" of a link is empty`},
		"a link to a file":                {"[s](file:///etc/passwd)", "texts.en.body:1: "},
		"a link of data":                  {"<data:text/html,x>", "texts.en.body:1: "},
		"a link that begins with //":      {"[s](//st.example/)", "texts.en.body:1: "},
		"a link to an anchor":             {"[s](#top)", "texts.en.body:1: "},
		"a link with a bad port":          {"[s](https://st.example:port/)", "texts.en.body:1: "},
		"a link to an awkward host":       {"[s](https://-st.example/)", "texts.en.body:1: "},
		"a host of two dots":              {"[s](https://st..example/)", "texts.en.body:1: "},
		"a link that was made harmless":   {"[s](https://ok.example/#ZgotmplZ)", "texts.en.body:1: "},
		"a mailbox of nobody":             {"[s](mailto:)", "texts.en.body:1: "},
		"a number of nothing":             {"[s](tel:)", "texts.en.body:1: "},
		"an image of nowhere":             {"![logo](logo.png)", "texts.en.body:1: "},
		"a link by reference":             {"[s][r]\n\n[r]: status.example.net", "texts.en.body:3: "},
		"a link in a branch":              {"a\n{{if .Customer.Name}}\n[s](status.example.net)\n{{end}}", "texts.en.body:3: "},
		"a link in a table":               {"|a|\n|-|\n|[s](st.example)|", "texts.en.body:3: "},
		"a link of a parameter":           {"a\n\n[s]({{.Parameters.page}})", `texts.en.body:3: the address "status.example.net" of a link has no scheme`},
		"a link that begins with none":    {"[s](status.example.net/{{.Customer.ID}})", `texts.en.body:1: the address of a link begins with "status.example.net/"`},
		"a link of a good parameter":      {"[s](https://{{.Parameters.page}}/x)", ""},
		"a link of a recipient":           {"[s]({{.Customer.Attributes.url}})", ""},
		"links":                           {"[a](https://a.example) [b](HTTP://b/) [c](mailto:c@c.example?subject=x) [d](tel:+31-20-1) <https://e.example/x> <f@f.example> www.g.example [h](https://[::1]:80/) [i](https://ü.example/ü)", ""},
		"what looks like a link in code":  {"`[a](b)`\n\n    [a](b)", ""},
		"a link in a branch never taken":  {"a{{if .Parameters.none}} [s]({{.Parameters.none}}){{end}}", ""},
		"a parameter that is not a place": {"a{{if eq .Customer.Attributes.plan .Parameters.page}}x{{end}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := own("s", tt.body)
			b.Parameters = given(map[string]string{"least": "10", "page": "status.example.net", "none": ""})
			err := compile(t, b).Sound()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want) || notice.CodeOf(err) != notice.CodeInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestALinkOfAReadyTextLeadsSomewhere(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Parameters = given(map[string]string{"component": "mail", "status_page": "status.example.net"})
	if err := compile(t, b).Sound(); err == nil || !strings.HasPrefix(err.Error(), "parts/status/") {
		t.Errorf("got %v", err)
	}
}

// TestAKeptNoticeIsStillRendered has texts for which a new notice is refused.
func TestAKeptNoticeIsStillRendered(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"[x](javascript:alert(1))":                           `<a href="">x</a>`,
		"[x](status.example.net)":                            `<a href="status.example.net">x</a>`,
		"[x]({{.Customer.Attributes.seats}}y)":               `<a href="9y">x</a>`,
		`a{{if ge .Customer.Attributes.seats "10"}}b{{end}}`: "<p>ab</p>",
	} {
		p, r := compile(t, own("s", body)), recipient("Ann", map[string]string{"seats": "9"})
		if p.Sound() == nil && p.Check(r, "en") == nil {
			t.Errorf("%s: a new notice is not refused", body)
		}
		m, err := render(p, r, "en", stamp())
		if err != nil || !strings.Contains(m.HTML, want) {
			t.Errorf("%s: %v\n%s", body, err, m.HTML)
		}
	}
}

func TestALinkIsLookedAtWithItsValues(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, value, want string }{ // "" = it leads somewhere
		"a script":          {"[s]({{.Customer.Attributes.x}})", "javascript:alert(1)", "texts.en.body:1: a link would lead"},
		"a value as scheme": {"[s]({{.Customer.Attributes.x}}:alert(1))", "javascript", "texts.en.body:1: a link would lead"},
		"no scheme":         {"[s]({{.Customer.Attributes.x}})", "status.example.net", "texts.en.body:1: the address of a link has no scheme for this recipient"},
		"no host":           {"[s](https://{{.Customer.Attributes.x}})", "/x", "texts.en.body:1: the address of a link has no host for this recipient"},
		"a host of words":   {"[s](https://{{.Customer.Attributes.x}}.example/)", "a b", "texts.en.body:1: the address of a link is not an address"},
		"a good host":       {"[s](https://{{.Customer.Attributes.x}}.example/)", "s639", ""},
		"an address":        {"[s]({{.Customer.Attributes.x}})", "https://a.example/?x=ü", ""},
		"a path":            {"[s](https://a.example/{{.Customer.Attributes.x}})", "javascript:a b", ""},
		"within a branch":   {"[s](https:{{if .Customer.Name}}//a.example{{end}}/x)", "", ""},
		"a branch without":  {"[s](https:{{if .Customer.Attributes.x}}//a.example{{end}}/x)", "", `texts.en.body: the address "https:/x" of`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := compile(t, own("s", tt.body)).Check(recipient("Ann", map[string]string{"x": tt.value}), "en")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestWhatIsSoundLeadsSomewhere fills values of all kinds into links of all kinds.
func TestWhatIsSoundLeadsSomewhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"", "https://", "mailto:", "tel:", "a.example", "/", "?q=", "#", ":", "@", "{{.Customer.Attributes.x}}", "{{.Customer.ID}}", "münchen"})
		address := strings.Join(rapid.SliceOfN(part, 1, 5).Draw(t, "address"), "")
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"javascript:alert(1)", "https://x.example", "x", "//x", ":"})).Draw(t, "value")
		p, err := tryCompile(own("s", "x [s]("+address+")"))
		if err != nil || p.Sound() != nil {
			return
		}
		r := recipient("Ann", map[string]string{"x": value})
		if p.Check(r, "en") != nil {
			return
		}
		m, err := render(p, r, "en", stamp())
		if err != nil {
			t.Fatal(err)
		}
		_, href, found := strings.Cut(m.HTML, `<a href="`)
		if href, _, _ = strings.Cut(href, `"`); found && astray(href) != "" {
			t.Fatalf("%q with %q leads to %q, which %s", address, value, href, astray(href))
		}
	})
}

func TestNumbersCompareAsNumbers(t *testing.T) {
	t.Parallel()
	body := "x{{if ge .Customer.Attributes.seats 10}}a{{end}}{{if lt .Customer.Attributes.seats 10}}b{{end}}{{if eq .Customer.Attributes.seats 9}}c{{end}}" +
		"{{if ne .Customer.Attributes.seats 9}}d{{end}}{{if gt .Customer.Attributes.seats 12345678901234567890}}e{{end}}{{if eq 9.50 .Customer.Attributes.seats}}f{{end}}"
	p := compile(t, own("s", body))
	for seats, want := range map[string]string{"10": "xad", "9": "xbc", "9.0": "xbc", "-3": "xbd", "9.5": "xbdf", "": "xd", "many": "xd", "1e9": "xd",
		"12345678901234567891": "xade", "12345678901234567890": "xad"} {
		if m := preview(t, p, recipient("A", map[string]string{"seats": seats})); !strings.HasPrefix(below(m.Text), want+"\n") {
			t.Errorf("%s: got %q, want %s", seats, m.Text, want)
		}
	}
}

func TestConditionsAreWhatATextAsksOfCustomers(t *testing.T) {
	t.Parallel()
	p := compile(t, own("{{if .Customer.Attributes.a}}x{{else}}y{{end}}", `{{range .Customers}}
{{if eq .Attributes.plan "gold" "silver"}}
- x
{{else if and (ne .Name "Bo") (ge .Attributes.seats 10)}}
- y
{{end}}
{{end}}
{{with or .Customer.Attributes.b .Customer.Attributes.c}}{{.}}{{end}}{{default "x" .Customer.Attributes.d}}{{if eq (default "none" .Customer.Attributes.e) "none" "full"}}{{end}}
{{if eq .Customer.Attributes.f 7}}{{end}}`))
	var got []string
	for _, c := range p.Conditions() {
		got = append(got, strings.TrimPrefix(c.Place, "texts.en.")+" "+c.Filter.Field+string(c.Filter.Op)+c.Filter.Value)
	}
	slices.Sort(got)
	want := []string{"body:2 plan:*", "body:2 plan==gold", "body:2 plan==silver", "body:4 name==Bo", "body:4 seats:*", "body:8 b:*", "body:8 c:*", "body:8 e:*", "body:8 e==full", "body:9 f:*", "body:9 f=7", "subject a:*"}
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if c := compile(t, outage()).Conditions(); len(c) > 0 {
		t.Errorf("a part of the ready texts asks for what nobody need have: %v", c)
	}
}

func TestBranchesAreCounted(t *testing.T) {
	t.Parallel()
	p := compile(t, own("s", `x {{if gt (len .Customers) 1}}all{{end}}
{{if .Customer.Attributes.rebate}}
rebate
{{end}}
{{if eq .Customer.Attributes.plan "gold"}}a{{else if eq .Customer.Attributes.plan "silver"}}b{{else}}c{{end}}
{{range .Customers}}{{if .Name}}n{{end}}{{end}}
{{if .Windows}}w{{end}}`))
	counts := make([]int, len(p.Branches()))
	for _, attributes := range []map[string]string{nil, {"rebate": "5", "plan": "gold"}, {"plan": "silver"}, {"plan": "silver"}} {
		taken := make([]bool, len(counts))
		if _, err := p.Taken(recipient("A", attributes), "en", taken); err != nil {
			t.Fatal(err)
		}
		for i, yes := range taken {
			if yes {
				counts[i]++
			}
		}
	}
	var got []string
	for i, b := range p.Branches() {
		got = append(got, b.Place+" "+b.Condition+": "+string(rune('0'+counts[i])))
	}
	want := []string{
		`texts.en.body:2 if .Customer.Attributes.rebate: 1`,
		`texts.en.body:5 if eq .Customer.Attributes.plan "gold": 1`,
		`texts.en.body:5 if eq .Customer.Attributes.plan "silver": 2`,
		`texts.en.body:5 else of if eq .Customer.Attributes.plan "silver": 1`,
		`texts.en.body:6 if .Name: 4`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestPlaceholdersAreNamed(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"Hi {.Customer.Name}}, all is well":                                                        "1 {.Customer.Name}",
		"a\n\nHi {Customer.Name} and ${name} ${a.b}":                                               "3 {Customer.Name}|3 ${name}|3 ${a.b}",
		"Dear ((first name)), *|FNAME|* [INSERT date]":                                             "1 ((first name))|1 *|FNAME|*|1 [INSERT date]",
		"[insert component here] [Your name] [TBD]":                                                "1 [insert component here]|1 [Your name]|1 [TBD]",
		"%%name%% %FIRST_NAME% <% x %> {% y %} [[name]]":                                           "1 %%name%%|1 %FIRST_NAME%|1 <%|1 %>|1 {%|1 %}|1 [[name]]",
		"TODO: say when. FIXME XXX TBD":                                                            "1 FIXME|1 XXX|1 TBD|1 TODO",
		"- a\n- {{if .Customer.Name}}<<name>>{{end}}":                                              "2 <<name>>",
		"`}} ${x} TODO`\n\n    {name} ((x))\n\n```\nTODO\n```\nx":                                  "",
		"[your account](https://x.example/) [date]: x [1]":                                         "",
		"100 %, 50% off, a {{.Customer.Name}} ({{.Customer.ID}}) [{{.Customer.ID}}] (a) 5 * 3 | 4": "",
		"| *a* | b | *c* |\n|---|---|---|\n| 1 | 2 | 3 |":                                          "",
	} {
		var got []string
		for _, p := range compile(t, own("s", body)).Placeholders() {
			got = append(got, strings.TrimPrefix(p.Place, "texts.en.body:")+" "+p.Text)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: got %q, want %s", body, got, want)
		}
	}
	b := own("{name} TODO", "Esto vale para TODO")
	b.Texts = map[string]notice.Text{"es": b.Texts["en"]}
	b.DefaultLanguage, b.Parameters["x"] = "", notice.Parameter{Text: "[INSERT x]"}
	if got := compile(t, b).Placeholders(); !slices.Equal(got, []notice.Placeholder{{Place: "texts.es.subject", Text: "{name}"}, {Place: "parameters.x", Text: "[INSERT x]"}}) {
		t.Errorf("got %v", got)
	}
}

func TestReadyTextsAndExamplesAreSound(t *testing.T) {
	t.Parallel()
	for name, b := range bodies(t) {
		p := compile(t, b)
		if err := p.Sound(); err != nil && !strings.Contains(err.Error(), `"2026-11-09T21:00" of a link`) { // the parameter that bodies makes up
			t.Errorf("%s: %v", name, err)
		}
		if found := p.Placeholders(); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
	if s := builtin(); s.layoutErr != nil {
		t.Error(s.layoutErr)
	}
}

// TestAllSubjectsOfAnIncidentHaveOneStem, before which brackets stand alone: readers' programs put mails together by
// that, besides References (RFC 5256 §2.1, base subject).
func TestAllSubjectsOfAnIncidentHaveOneStem(t *testing.T) {
	t.Parallel()
	s := builtin()
	for _, kind := range []notice.Kind{notice.Outage, notice.Maintenance} {
		stems := map[string]string{}
		for _, phase := range notice.Phases[kind] {
			if phase == "postmortem" { // which comes days later, and is a report
				continue
			}
			texts, err := s.Texts(notice.Body{Key: "k", Kind: kind, Phase: phase, Template: string(kind), Parameters: map[string]notice.Parameter{"component": {Text: "mail"}}})
			if err != nil {
				t.Fatal(err)
			}
			for language, text := range texts {
				subject := strings.NewReplacer("{{if .Was}}", "", "{{end}}", "").Replace(text.Subject) // newcomers have the stem alone
				tag, stem, found := strings.Cut(subject, "] ")
				switch first := stems[language]; {
				case first == "":
					stems[language] = text.Subject
				case !found || stem != first || strings.TrimSpace(tag) != "["+s.PhaseWord(language, phase) || tag == "[":
					t.Errorf("%s, %s in %s has the subject %q, and the first was %q", kind, phase, language, text.Subject, first)
				}
			}
		}
		if len(stems) < 30 {
			t.Errorf("%s speaks %d languages", kind, len(stems))
		}
	}
}
