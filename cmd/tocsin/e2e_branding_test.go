package main

import (
	"bytes"
	"encoding/base64"
	pixels "image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// brandOf writes settings with a branding, and returns the variable that names them and the logo.
func (s *system) brandOf(name, link string) (config string, logo []byte) {
	s.t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, pixels.NewGray(pixels.Rect(0, 0, 90, 30))); err != nil {
		s.t.Fatal(err)
	}
	dir := s.write(map[string]string{"logo.png": b.String(), "tocsin.yaml": "branding:\n  name: " + name + "\n  logo: logo.png\n  colours:\n    header: \"#102a43\"\n" +
		"    link: \"" + link + "\"\n  footer:\n    default: " + name + " Ltd\n    nl: |\n      " + name + " B.V.\n      KvK 12345678\n"})
	return "TOCSIN_CONFIG=" + filepath.Join(dir, "tocsin.yaml"), b.Bytes()
}

// TestMailsHaveTheBrandingOfTheirPlan, as the preview shows it. Where the plan kept the mails, a worker with another
// branding sends them as they were. Where it did not, a worker with the same branding compiles them.
func TestMailsHaveTheBrandingOfTheirPlan(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]bool{"kept": true, "compiled by a worker": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, sharedServices(t), usualSink)
			config, logo := s.brandOf("Example Hosting", "#0a4a8c")
			s.env = append(s.env, config)
			s.server = s.launch("serve")
			s.customers(3)
			dir, out := s.notice("n1"), filepath.Join(t.TempDir(), "out")
			s.must(nil, "notice", "preview", dir, "--out", out)
			s.must(nil, "notice", "send", dir, "--yes", "--json")
			worker := s
			if kept {
				other, _ := s.brandOf("Other Hosting", "#7a0000")
				worker = s.with(other)
			} else if _, err := s.connect().Exec(t.Context(), `UPDATE recipient SET mail = NULL`); err != nil {
				t.Fatal(err)
			}
			worker.work()
			s.await("n1", "sent", func(st notice.Status) bool { return st.Counts["sent"] == 3 })
			footers := map[string]string{"en": "Example Hosting\nExample Hosting Ltd\n", "nl": "Example Hosting\nExample Hosting B.V.\nKvK 12345678\n",
				"ar": "Example Hosting\nExample Hosting Ltd\n"}
			for address, mails := range s.delivered() {
				m := mails[0]
				read, err := render.Open([]byte(m.Raw))
				if err != nil {
					t.Fatal(err)
				}
				previewed, err := os.ReadFile(filepath.Join(out, m.Language+".html"))
				if err != nil {
					t.Fatal(err)
				}
				logoShown := `src="data:image/png;base64,` + base64.StdEncoding.EncodeToString(logo) + `" width="90" height="30" alt="Example Hosting"`
				if read.HTML != string(previewed) || !strings.Contains(read.HTML, logoShown) || !strings.Contains(read.HTML, "background:#102a43;color:#ffffff") ||
					!strings.Contains(read.HTML, ".foot a{color:#0a4a8c}") || !strings.HasSuffix(read.Text, footers[m.Language]) ||
					!strings.Contains(m.Raw, "multipart/related") || !strings.Contains(m.Raw, "\r\nContent-Disposition: inline\r\n") || !strings.Contains(m.Raw, `From: "Example Status" <status@example.net>`) {
					t.Errorf("%s in %s got\n%s\nread as\n%s", address, m.Language, m.Raw, read.HTML)
				}
				delete(footers, m.Language)
			}
			if len(footers) > 0 {
				t.Errorf("nobody got %v", footers)
			}
			if html, errs, code := s.run("notice", "show", "n1", "--address", "c3@example.com", "--html"); code != exitDone || !strings.Contains(html, "data:image/png") {
				t.Errorf("show: exit %d, %s%s", code, html, errs)
			}
		})
	}
}

// TestAWrongBrandingIsSaidAtTheStart by check, serve and work, with its line and a colour that would do.
func TestAWrongBrandingIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	s := prepare(t, sharedServices(t), usualSink)
	config, _ := s.brandOf("Example", "#4a90d9")
	s = s.with(config)
	for _, command := range []string{"check", "serve", "work"} {
		out, errs, code := s.run(command)
		said := strings.Join(strings.Fields(out+errs), " ") // check breaks lines
		if code == exitDone || !strings.Contains(said, "tocsin.yaml:6: link: #4a90d9 on #eef0f2 has a contrast of 2.") || !strings.Contains(said, "would do") {
			t.Errorf("%s: exit %d: %s", command, code, said)
		}
	}
}
