package console

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

var someReady = notice.Ready{
	Templates: []notice.ReadyTemplate{{Name: "outage", Phases: []string{"identified"}, Required: map[string]string{"component": "webmail"}, Optional: map[string]string{"next_update": "2026-11-09T21:00"}}},
	Phrases:   []notice.ReadyPhrase{{Name: "cause.power", Text: "Power."}, {Name: "estimate.end", Text: "Until {time}.", Slots: []string{"time"}}},
}

// formOn is the page of a draft, and its form as a browser sends it.
func formOn(t *testing.T, files directory.Files) (v *composeView, form url.Values) {
	t.Helper()
	frame := &Frame{Lang: "en", Zone: time.UTC, Now: time.Now(), words: readWords().of["en"], print: message.NewPrinter(language.English)}
	v = &composeView{Frame: frame, Draft: notice.SavedDraft{Number: 1, Version: 2, Files: files}, Ready: someReady}
	v.find(nil)
	var page bytes.Buffer
	if err := parsePages()["compose"].ExecuteTemplate(&page, "layout", v); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(&page)
	if err != nil {
		t.Fatal(err)
	}
	form = url.Values{}
	for n := range root.Descendants() {
		send(form, n)
	}
	return v, form
}

// send adds a field of a page to the form that a browser sends.
func send(form url.Values, n *html.Node) {
	a := map[string]string{}
	for _, attribute := range n.Attr {
		a[attribute.Key] = attribute.Val
	}
	_, checked := a["checked"]
	switch {
	case a["name"] == "":
	case n.Data == "textarea" && n.FirstChild != nil:
		form.Add(a["name"], strings.ReplaceAll(n.FirstChild.Data, "\n", "\r\n"))
	case n.Data == "textarea":
		form.Add(a["name"], "")
	case n.Data == "select":
		for o := range n.Descendants() {
			value, on := "", false
			for _, attribute := range o.Attr {
				if attribute.Key == "value" {
					value = attribute.Val
				}
				on = on || attribute.Key == "selected"
			}
			if on {
				form.Add(a["name"], value)
			}
		}
	case n.Data == "input" && a["type"] != "file" && (checked || a["type"] != "radio" && a["type"] != "checkbox"):
		form.Add(a["name"], a["value"])
	}
}

const everyField = `# All that a notice can say.
key: a.b
incident: a
amends: c
kind: maintenance
phase: rescheduled
severity: major
template: outage
parameters: {component: {en: web server, de: "Web: 1"}, next_update: 2026-11-09T21:00, own: "a\nb"}
details: {en: Mail is kept., de: "Eins\n\nZwei"}
phrases: [cause.power, {estimate.end: {time: 2026-11-09T21:00Z}}, {strange: {x: {en: y}}}]
audience: {notice: x.y, filter: 'plan = "gold"', include_new: true, state: [failed, suppressed], contact: alternate}
audience_at: send
max_recipients: 3000
canary: 20
default_language: en
stacked: unmatched
zone: Europe/Amsterdam
windows:
  - {start: 2026-11-09T21:00, end: 2026-11-10T00:00}
  - {start: 2026-11-09T21:00+01:00, end: 2026-11-10T00:00Z, zone: America/Chicago}
was: [{start: 2026-11-08T21:00, end: 2026-11-09T00:00}]
remind: [72h, 24h]
calendar_impact: degraded
calendar_object: server
calendar_method: publish
broken_domains: [a.example]
broken: {domains: [b.example], filter: server IN @servers.csv}
reply_to: NOC <noc@example.com>
send_at: 2026-11-06T09:00
expires_at: 2026-12-05T23:00:00+01:00
`

// TestTheFormSaysAllThatADirectoryCan: of each example, and of one with every field, the form changes nothing as it stands, and on an empty draft it
// says the same.
func TestTheFormSaysAllThatADirectoryCan(t *testing.T) {
	t.Parallel()
	all := map[string]directory.Files{"every field": {directory.Manifest: []byte(everyField), "en.md": joinText("s: 'x'", "a\n\n b\n"), "correction.de.md": joinText("k", "b\n"), "servers.csv": []byte("a\n")},
		"a list":    {directory.Manifest: []byte("audience: {customers: list.csv, filter: x = \"y\"}\n"), "list.csv": []byte("id\n1\n")},
		"a details": {directory.Manifest: []byte("template: outage\naudience: all\ndetails: one for all\n"), "details.nl.md": []byte("Een\n")}}
	for _, pattern := range []string{"../../examples/*/notice.yaml", "../../examples/*/*/notice.yaml"} {
		found, _ := filepath.Glob(pattern)
		for _, manifest := range found {
			files := directory.Files{}
			entries, _ := os.ReadDir(filepath.Dir(manifest))
			for _, e := range entries {
				if text, err := os.ReadFile(filepath.Join(filepath.Dir(manifest), e.Name())); err == nil {
					files[e.Name()] = text
				}
			}
			all[manifest] = files
		}
	}
	if len(all) < 8 {
		t.Errorf("%d directories", len(all))
	}
	for name, files := range all {
		v, form := formOn(t, files)
		got, err := edited(files, form, someReady)
		if diff := cmp.Diff(files, got); err != nil || diff != "" {
			t.Errorf("%s is changed: %v %s", name, err, diff)
		}
		empty := directory.Files{directory.Manifest: []byte("# new\n")}
		for file, text := range files {
			if tag, _ := textOf(file); tag == "" && file != directory.Manifest {
				empty[file] = text
			}
		}
		got, err = edited(empty, form, someReady)
		if diff := cmp.Diff(v.Sheet, directory.ReadSheet(got[directory.Manifest])); err != nil || diff != "" {
			t.Errorf("%s is said otherwise: %v\n%s", name, err, diff)
		}
		delete(got, directory.Manifest)
		want := directory.Files{}
		for file, text := range files {
			if file != directory.Manifest {
				want[file] = text
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s has other texts: %s", name, diff)
		}
	}
}

// TestTabsKeepTheDefaultLanguage: a language that is added to ready texts comes next to the default one, in which they can be read as before.
func TestTabsKeepTheDefaultLanguage(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"template: outage\n": "en nl*", "template: outage\ndetails: {nl: Een}\n": "en nl*", "template: outage\ndefault_language: de\n": "de nl*", "kind: outage\n": "nl*",
	} {
		v, _ := formOn(t, directory.Files{directory.Manifest: []byte(yaml)})
		var tabs []string
		for _, p := range v.panelsOf("nl") {
			if p.On {
				p.Tag += "*"
			}
			tabs = append(tabs, p.Tag)
		}
		if got := strings.Join(tabs, " "); got != want {
			t.Errorf("%q has tabs %s, want %s", yaml, got, want)
		}
	}
}

// TestAFilterIsChangedInRowsOrInItsText: the one that was changed counts, the text where both were.
func TestAFilterIsChangedInRowsOrInItsText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ was, field, value, text, want string }{
		{`plan = "gold"`, "plan", "gold", `plan = "gold"`, `plan = "gold"`},
		{`plan="gold"`, "plan", "gold", `plan="gold"`, `plan="gold"`},
		{`plan="gold"`, "plan", "silver", `plan="gold"`, `plan = "silver"`},
		{`plan = "gold"`, "plan", "gold", `plan = "x"`, `plan = "x"`},
		{`plan = "gold"`, "plan", "silver", `plan = "x"`, `plan = "x"`},
		{`plan = "gold"`, "", "", `plan = "gold"`, ``},
		{`plan = "a" AND (x = "b" OR y = "c")`, "plan", "silver", `plan = "a" AND (x = "b" OR y = "c")`, `plan = "a" AND (x = "b" OR y = "c")`},
	} {
		form := url.Values{"filter": {tt.text}, "filter-base": {tt.was}, "condition-join": {"all"}, "condition-field": {tt.field, ""}, "condition-op": {"=", "="}, "condition-value": {tt.value, ""}}
		if got := filterIn(tt.was, form); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// TestAFaultIsSaidInTheReadersWords at its field, also where another one has the reason.
func TestAFaultIsSaidInTheReadersWords(t *testing.T) {
	t.Parallel()
	frame := &Frame{Lang: "de", Zone: time.UTC, words: readWords().of["de"], print: message.NewPrinter(language.German)}
	v := &composeView{Frame: frame, Draft: notice.SavedDraft{Files: directory.Files{directory.Manifest: []byte("key: a\nwindows:\n  - {start: x}\n")}}}
	_, inner := time.Parse("x", "y")
	var places []string
	for _, tt := range []struct {
		err  error
		want fault
	}{
		{notice.Invalid("notice.yaml:3", "a window wants both a start and an end"), fault{"notice.yaml", "notice.yaml:3", "Ein Zeitfenster hat Beginn und Ende.", "windows"}},
		{notice.Invalid("notice.yaml:2 windows", "%v", notice.Invalid("end", "is not after start: %s – %s", "b", "a")), fault{"notice.yaml", "notice.yaml:2 windows", "Das Ende liegt vor dem Beginn: b – a", "windows"}},
		{notice.Invalid("notice.yaml parameters.component.de", "the template %s needs it, such as %q", "outage", "webmail"), fault{"notice.yaml", "notice.yaml parameters.component.de", "Die Vorlage outage braucht es, etwa webmail.", "parameters.component"}},
		{notice.Invalid("notice.yaml phrases[1].time", "odd"), fault{"notice.yaml", "notice.yaml phrases[1].time", "odd", "phrases[1]"}},
		{notice.Invalid("notice.yaml:1 key", "%v", inner), fault{"notice.yaml", "notice.yaml:1 key", inner.Error(), "key"}},
	} {
		places = append(places, v.PlaceOf(tt.want))
		if diff := cmp.Diff([]fault{tt.want}, v.faultsOf(tt.err)); diff != "" {
			t.Errorf("%v: %s", tt.err, diff)
		}
	}
	if diff := cmp.Diff([]string{"Wann es geschieht", "Wann es geschieht", "Betroffener Dienst", "Satz 2", "Schlüssel"}, places); diff != "" {
		t.Error(diff)
	}
}

// TestAFormChangesOneField alone, and the fields that follow from it.
func TestAFormChangesOneField(t *testing.T) {
	t.Parallel()
	files := directory.Files{directory.Manifest: []byte("key: a.investigating # for ever\nincident: a\nkind: outage\nphase: investigating\n\n# readers\naudience: all\nother: [1]\n"), "en.md": joinText("", "")}
	for _, tt := range []struct {
		change     url.Values
		want, gone string
	}{
		{url.Values{"y.phase": {"resolved"}}, "key: a.resolved  # for ever\nincident: a\nkind: outage\nphase: resolved\n\n# readers\naudience: all\nother: [1]\n", ""},
		{url.Values{"y.kind": {"maintenance"}}, "kind: maintenance\nphase: scheduled\n\n# readers", ""},
		{url.Values{"y.template": {"outage"}, "p:component": {"web"}, "p:component:de": {"Web"}}, "template: outage\nparameters:\n  component:\n    de: Web\n    en: web\n", "en.md"},
		{url.Values{"aim": {"notice"}, "aim-notice": {"x.y"}, "filter": {`plan = "gold"`}}, "# readers\naudience:\n  notice: x.y\n  filter: 'plan = \"gold\"'\nother: [1]\n", ""},
		{url.Values{"aim": {"nobody"}}, "# readers\nother: [1]\n", ""},
		{url.Values{"phrase": {"estimate.end"}, "v:0:time": {"2026-11-09T21:00"}}, "phrases:\n  - estimate.end:\n      time: 2026-11-09T21:00\n", ""},
		{url.Values{"phrase": {"cause.power"}, "v:0:time": {"2026-11-09T21:00"}}, "phrases:\n  - cause.power\n", ""},
		{url.Values{"window.start": {"2026-11-09T21:00", ""}, "window.end": {"", ""}, "window.zone": {"", ""}}, "windows:\n  - {start: 2026-11-09T21:00}\n", ""},
		{url.Values{"l.broken_domains": {"a.example; b.example"}}, "broken_domains: [a.example, b.example]\n", ""},
	} {
		_, form := formOn(t, files)
		for name, values := range tt.change {
			form[name] = values
		}
		got, err := edited(files, form, someReady)
		if err != nil || !strings.Contains(string(got[directory.Manifest]), tt.want) {
			t.Errorf("%v: %v\n%s", tt.change, err, got[directory.Manifest])
		}
		if _, there := got["en.md"]; there != (tt.gone == "") {
			t.Errorf("%v: en.md is there: %t", tt.change, there)
		}
	}
}
