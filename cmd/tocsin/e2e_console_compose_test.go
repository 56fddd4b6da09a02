package main

import (
	"bytes"
	"html"
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

	"tocsin/internal/directory"
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

var (
	inputs    = regexp.MustCompile(`<input id="s-[^"]*" name="(subject:[^"]*)" value="([^"]*)"`)
	textareas = regexp.MustCompile(`(?s)<textarea [^>]*name="(text:[^"]*)"[^>]*>\n(.*?)</textarea>`)
	versions  = regexp.MustCompile(`name="version" id="version" value="(\d+)"`)
	digests   = regexp.MustCompile(`id="digest">([^<]*)<`)
)

// pressed sends the form of a draft's page as a browser without script does, with one button.
func (s *system) pressed(page, button string) (status int, text string) {
	s.t.Helper()
	_, _, shown := s.asks("GET", page, "", nil)
	form := url.Values{"do": {button}, "version": {versions.FindStringSubmatch(shown)[1]}}
	for _, fields := range [][][]string{inputs.FindAllStringSubmatch(shown, -1), textareas.FindAllStringSubmatch(shown, -1)} {
		for _, f := range fields {
			form.Set(html.UnescapeString(f[1]), strings.ReplaceAll(html.UnescapeString(f[2]), "\n", "\r\n"))
		}
	}
	status, _, text = s.asks("POST", page, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	return status, text
}

// TestEveryExampleIsImportedAndExported byte for byte, also after a browser has saved it. Its plan is the one that the command line shows of the export.
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

// TestANoticeIsComposedInABrowser in two languages, with script and without: it keeps itself, faults stand at their files, the release waits for another
// person, who releases the plan that was shown, and the mails arrive once.
func TestANoticeIsComposedInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser, and TestEveryExampleIsImportedAndExported")
	s := start(t, "TOCSIN_APPROVALS=3")
	s.importing("id,name,email,language\nc1,Ann,c1@example.com,en\nc2,Bram,c2@example.com,nl\nc3,Cleo,c3@example.com,nl\nc4,No Box,,\n")
	s.work()
	b := s.browse("en")
	for key, scripted := range map[string]bool{"scripted": true, "plain": false} {
		b.script(true)
		b.letIn(s, "ann-"+key, "sender")
		b.script(scripted)
		b.open("/compose")
		b.press("#begin", "#f-notice-yaml")
		b.write("#t-f-notice-yaml", "key: "+key+"\nkind: outage\nphase: identified\naudeince: all\n")
		if scripted { // it keeps itself, and says in place what is wrong
			b.wantText(`notice.yaml:4: "audeince" is not a field of a notice`)
			b.wantText("Saved, version 2")
			b.open("/compose/1")
		}
		b.write("#t-f-notice-yaml", "key: "+key+"\nkind: outage\nphase: identified\naudience: all\n")
		b.write("#s-f-en-md", "Mail is down")
		b.write("#t-f-en-md", "Dear {{.Customer.Name}}, we are on it.\n")
		b.write("#language", "nl")
		b.press("#add", "#f-nl-md .wrong")
		var mark string // the page of the check has the same fault, and no mark
		b.evaluate("document.body.id = 'before'", &mark)
		b.press("#check", "body:not(#before) #f-nl-md .wrong")
		b.wantText("nl.md:2: the subject must stand on this line")
		b.write("#s-f-nl-md", "Mail is weg")
		b.write("#t-f-nl-md", "Beste {{.Customer.Name}}, we werken eraan.\n")
		b.write("#customer", "c3")
		b.press("#check", "#release")
		b.wantText("Dutch · Customer c3 Mail is weg")
		b.wantText("Beste Cleo, we werken eraan.")
		b.wait("document.querySelector('#plan iframe').srcdoc.includes('Beste Cleo')")
		if scripted {
			b.picture("compose")
		}
		b.press("#release", "#approval")
		b.wait("document.getElementById('approve') === null")
		b.script(true)
		b.press(".top form[action='/sign-out'] button", "#user")
		b.letIn(s, "bob-"+key, "approver")
		b.script(scripted)
		b.open("/notices/" + key)
		b.press("#approve", "#standing")
		s.await(key, "sent", finished)
		b.open("/notices/" + key)
		b.press("#again", "#t-f-notice-yaml")
		b.wait("document.getElementById('t-f-notice-yaml').value.includes('state: [suppressed]') && document.getElementById('s-f-nl-md').value === 'Mail is weg'")
		b.press("#check", "#release")
		b.open("/incidents/" + key)
		if scripted {
			b.picture("update")
		}
		b.press("#update", "#t-f-notice-yaml")
		b.wait("document.getElementById('t-f-notice-yaml').value.includes('phase: monitoring') && document.getElementById('s-f-nl-md').value === 'Mail is weg'")
		b.press("#check", "#release")
		b.wantText("Earlier updates")
		b.wantText("Customers 4")
		b.script(true)
		b.press(".top form[action='/sign-out'] button", "#user")
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
	if status, _ := save(versions.FindStringSubmatch(text)[1], "second"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if got := string(s.exported(page)["notice.yaml"]); got != "key: second\n" {
		t.Errorf("kept: %q", got)
	}
}
