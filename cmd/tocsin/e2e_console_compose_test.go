package main

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// asks sends a request to the console with the token of the settings, and returns the page that the answer leads to.
func (s *system) asks(method, path, kind string, body io.Reader) (status int, at, page string) {
	s.t.Helper()
	var base string
	for _, e := range s.env {
		if u, ok := strings.CutPrefix(e, "TOCSIN_URL="); ok { // the last one counts
			base = u
		}
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, base+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer s3cret")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Request.URL.Path, string(text)
}

// imported has the console import a directory, and returns the path of its page.
func (s *system) imported(dir string) string {
	s.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	files := directory.Files{}
	for _, e := range entries {
		if !e.IsDir() {
			if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	var archive, form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "notice.zip")
	if err == nil {
		err = files.Zip(&archive, "notice")
	}
	if err == nil {
		_, err = part.Write(archive.Bytes())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	w.Close()
	status, at, page := s.asks("POST", "/compose/import", w.FormDataContentType(), &form)
	if status != http.StatusOK || !strings.HasPrefix(at, "/compose/") {
		s.t.Fatalf("import %s: status %d at %s: %s", dir, status, at, page)
	}
	if got := s.exported(at); cmp.Diff(files, got) != "" {
		s.t.Errorf("%s is exported otherwise: %s", dir, cmp.Diff(files, got))
	}
	return at
}

// exported is the directory that a draft of the console is exported as.
func (s *system) exported(page string) directory.Files {
	s.t.Helper()
	_, _, archive := s.asks("GET", page+"/export", "", nil)
	files, err := directory.Unpack([]byte(archive))
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

func (s *system) writeFiles(files directory.Files) string {
	texts := map[string]string{}
	for name, content := range files {
		texts[name] = string(content)
	}
	return s.write(texts)
}

var digests = regexp.MustCompile(`id="digest">([^<]*)<`)

// filledForm is the form of a draft as a browser sends it.
func filledForm(t *testing.T, page string) url.Values {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	for n := range root.Descendants() {
		a := map[string]string{}
		for _, attribute := range n.Attr {
			a[attribute.Key] = attribute.Val
		}
		_, checked := a["checked"]
		switch {
		case a["name"] == "" || a["type"] == "file":
		case n.Data == "textarea":
			text := ""
			if n.FirstChild != nil {
				text = n.FirstChild.Data
			}
			form.Add(a["name"], strings.ReplaceAll(text, "\n", "\r\n"))
		case n.Data == "select":
			form.Add(a["name"], selected(n))
		case n.Data == "input" && (checked || a["type"] != "radio" && a["type"] != "checkbox"):
			form.Add(a["name"], a["value"])
		}
	}
	return form
}

// selected is the value of a list.
func selected(list *html.Node) (value string) {
	first := true
	for n := range list.Descendants() {
		if n.Data != "option" {
			continue
		}
		its, on := "", false
		for _, a := range n.Attr {
			if a.Key == "value" {
				its = a.Val
			}
			on = on || a.Key == "selected"
		}
		if on || first {
			value, first = its, false
		}
	}
	return value
}

// pressed sends the form of a draft's page as a browser without script does, with one button.
func (s *system) pressed(page, button string) (status int, text string) {
	s.t.Helper()
	_, _, shown := s.asks("GET", page, "", nil)
	form := filledForm(s.t, shown)
	form.Set("do", button)
	status, _, text = s.asks("POST", page, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	return status, text
}

// precede sends the notice that an example amends, or moves the windows of: its directory is in that of this one.
func (s *system) precede(dir string) {
	s.t.Helper()
	body, err := directory.Read(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	if body.Amends != "" || body.Phase == notice.PhaseRescheduled {
		s.must(nil, "notice", "send", filepath.Dir(dir), "--yes", "--allow-past")
	}
}

// TestEveryExampleIsImportedAndExported byte for byte, also after a browser has saved it. Its plan is the one that the
// command line shows of the export.
func TestEveryExampleIsImportedAndExported(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(nil, "customers", "import", "../../examples/customers.csv")
	plans := 0
	for _, pattern := range []string{"../../examples/*/notice.yaml", "../../examples/*/*/notice.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, manifest := range found {
			dir := filepath.Dir(manifest)
			s.precede(dir)
			page := s.imported(dir)
			before := s.exported(page)
			status, checked := s.pressed(page, "check")
			if diff := cmp.Diff(before, s.exported(page)); diff != "" {
				t.Errorf("%s has changed by being checked: %s", dir, diff)
			}
			shown := digests.FindStringSubmatch(checked)
			if shown == nil {
				t.Errorf("%s: status %d without a plan", dir, status)
				continue
			}
			var plan struct{ Digest string }
			out, _, _ := s.run("notice", "preview", s.writeFiles(before), "--json") // 1: a window is past
			s.decode(out, &plan)
			if plans++; plan.Digest != shown[1] {
				t.Errorf("%s: the page shows plan %s, the command line %s", dir, shown[1], plan.Digest)
			}
		}
	}
	if plans < 4 {
		t.Errorf("%d plans were compared", plans)
	}
}

// write puts a text into a field, which may be empty, as a hand would.
func (b *browser) write(field, text string) {
	b.t.Helper()
	var done bool
	b.evaluate("(() => { const f = document.querySelector("+jsText(field)+"); f.value = "+jsText(text)+"; f.dispatchEvent(new Event('input', {bubbles: true})); return true })()", &done)
}

// pick chooses a value of a list as a hand would.
func (b *browser) pick(list, value string) {
	b.t.Helper()
	var done bool
	b.evaluate("(() => { const f = document.querySelector("+jsText(list)+"); f.value = "+jsText(value)+"; f.dispatchEvent(new Event('input', {bubbles: true})); return f.value === "+jsText(value)+" })()", &done)
	if !done {
		b.t.Fatalf("%s has no %s: %s", list, value, b.text())
	}
}

// leave signs the reader out.
func (b *browser) leave() {
	b.t.Helper()
	b.script(true)
	b.press(".top form[action='/sign-out'] button", "#user")
}

// pressAnew is press on a page that looks as the one behind does.
func (b *browser) pressAnew(button, behind string) {
	b.t.Helper()
	var mark string
	b.evaluate("document.body.id = 'before'", &mark)
	b.press(button, "body:not(#before) "+behind)
}

// wantPreview has the form of a draft previewed, as its frame has, in a language for a customer.
func (b *browser) wantPreview(tag, customer, text string) {
	b.t.Helper()
	var shown string
	b.evaluate("(() => { const f = new URLSearchParams(new FormData(document.getElementById('draft'))); f.set('tab', "+jsText(tag)+"); f.set('customer', "+jsText(customer)+
		"); return fetch(document.getElementById('look').formAction, {method: 'POST', body: f}).then((r) => r.text()) })()", &shown)
	if !strings.Contains(shown, text) {
		b.t.Errorf("the preview in %s lacks %q: %s", tag, text, shown)
	}
}

// TestANoticeIsComposedInABrowser from nothing, in two languages, by the form, with script and without. It keeps itself,
// and faults stand at their fields. The release waits for another person, who releases the plan that was shown, and the
// mails arrive once.
func TestANoticeIsComposedInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser, TestEveryExampleIsImportedAndExported, and TestTheFormSaysAllThatADirectoryCan")
	s := start(t, "TOCSIN_APPROVALS=3")
	s.importing("id,name,email,language\nc1,Ann,c1@example.com,en\nc2,Bram,c2@example.com,nl\nc3,Cleo,c3@example.com,nl\nc4,No Box,,\n")
	s.work()
	b := s.browse("en")
	for key, scripted := range map[string]bool{"scripted": true, "plain": false} {
		b.script(true)
		b.letIn(s, "ann-"+key, "sender")
		b.script(scripted)
		b.open("/compose")
		b.press("#begin", "#y-key")
		b.write("#y-key", "no key")
		b.write("#y-incident", key)
		b.pick("#y-kind", "maintenance")
		if scripted { // it keeps itself, and the phases are those of the kind
			b.wait("document.getElementById('y-phase')?.value === 'scheduled'")
			b.wantText("Saved, version 2")
		} else {
			b.pressAnew("#save", "#y-phase option[value=scheduled]")
		}
		b.pick("#y-kind", "outage")
		b.pressAnew("#save", "#y-phase option[value=identified]")
		b.pick("#y-phase", "identified")
		b.press("#aim-filter", "#aim-filter:checked")
		b.write("#condition-0-field", "language")
		b.write("#condition-0-value", "nl")
		if scripted {
			b.wait("document.getElementById('filter').value === 'language = \"nl\"' && document.querySelectorAll('.cond').length === 2")
		} else {
			b.pressAnew("#count", "#condition-1-field")
		}
		b.wantText("2 customers Dutch 2")
		b.press("#aim-all", "#aim-all:checked")
		b.write("#s-f-en-md", "Mail is down")
		b.write("#t-f-en-md", "Dear {{.Customer.Name}}, we are on it.\n")
		b.write("#language", "nl")
		b.press("#add", "#tab-nl:checked")
		b.pressAnew("#check", "#f-nl-md-part .wrong")
		b.wantText("nl.md:2: Write a subject.")
		b.write("#s-f-nl-md", "Mail is weg")
		b.write("#t-f-nl-md", "Beste {{.Customer.Name}}, we werken eraan.\n")
		b.pressAnew("#check", "#wrong-y-key .wrong") // at its field
		b.write("#y-key", key)
		b.write("#customer", "c3")
		b.press("#check", "#release")
		b.wantText("Dutch · Customer c3 Mail is weg")
		b.wantText("Beste Cleo, we werken eraan.")
		b.wait("document.querySelector('#plan iframe').srcdoc.includes('Beste Cleo')")
		b.press("#write", "#as-file")
		b.press("#look", "#preview")
		b.wantPreview("nl", "c2@example.com", "Beste Bram, we werken eraan.")
		b.wantPreview("en", "", "Dear Ann, we are on it.")
		b.press("#as-file", "#t-f-notice-yaml")
		b.wait("document.getElementById('t-f-notice-yaml').value.includes('key: " + key + "\\nincident: " + key + "\\nkind: outage\\nphase: identified\\naudience: all\\n')")
		b.write("#t-f-notice-yaml", "key: "+key+"\nincident: "+key+"\nkind: outage\nphase: identified\nseverity: major\naudience: all # of them\n")
		b.press("#as-form", "#y-severity")
		b.wait("document.getElementById('y-severity').value === 'major'")
		if scripted {
			b.picture("compose")
		}
		b.press("#check", "#release")
		b.press("#release", "#approval")
		b.wait("document.getElementById('approve') === null")
		b.leave()
		b.letIn(s, "bob-"+key, "approver")
		b.script(scripted)
		b.open("/notices/" + key)
		b.press("#approve", "#standing")
		s.await(key, "sent", finished)
		b.open("/notices/" + key)
		b.press("#again", "#aim-notice:checked")
		b.wait("document.querySelector('[name=aim-state][value=suppressed]').checked && document.getElementById('s-f-nl-md').value === 'Mail is weg'")
		b.press("#check", "#release")
		b.open("/incidents/" + key)
		if scripted {
			b.picture("update")
		}
		b.press("#update", "#y-phase")
		b.wait("document.getElementById('y-phase').value === 'monitoring' && document.getElementById('s-f-nl-md').value === 'Mail is weg'")
		b.press("#check", "#release")
		b.wantText("Earlier updates")
		b.wantText("Customers 4")
		b.leave()
	}
	if n := len(s.sink.Mails()); n != 6 {
		t.Errorf("the sink has %d mails, want 6", n)
	}
}

// TestADraftInTwoTabs: the second one to save is told, loses nothing, and decides.
func TestADraftInTwoTabs(t *testing.T) {
	t.Parallel()
	s := start(t)
	page := s.imported(s.notice("tabs"))
	save := func(version, key string) (int, string) {
		form := url.Values{"do": {"save"}, "version": {version}, "text:notice.yaml": {"key: " + key + "\r\n"}}
		status, _, text := s.asks("POST", page, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
		return status, text
	}
	if status, _ := save("1", "first"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	status, text := save("1", "second")
	if status != http.StatusConflict || !strings.Contains(text, "Nothing was saved") || !strings.Contains(text, "key: second") || strings.Contains(text, "data-autosave") {
		t.Errorf("status %d: %s", status, text)
	}
	if got := string(s.exported(page)["notice.yaml"]); got != "key: first\n" {
		t.Errorf("kept: %q", got)
	}
	if status, _ := save(filledForm(t, text).Get("version"), "second"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if got := string(s.exported(page)["notice.yaml"]); got != "key: second\n" {
		t.Errorf("kept: %q", got)
	}
}
