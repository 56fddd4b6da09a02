package config

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/render"
)

// picture is an image of that size, as PNG.
func picture(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// branded reads settings with a branding from a directory of files.
func branded(t *testing.T, branding string, files map[string][]byte) (*Settings, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "tocsin.yaml")
	if err := os.WriteFile(file, []byte("from: s@example.net\nrelays: [{url: smtp://x}]\nbranding:\n"+branding), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read(nil, append([]string{"TOCSIN_CONFIG=" + file}, servers...))
}

// TestTheBrandingIsTheSameForServeAndWork, and is as the file has it.
func TestTheBrandingIsTheSameForServeAndWork(t *testing.T) {
	t.Parallel()
	large := picture(t, 300, 128)
	for name, test := range map[string]struct {
		file string
		want render.Branding
	}{
		"none": {"", render.Branding{}},
		"all": {"  name: Example Hosting\n  logo: logo.jpg\n  colours: {header: \"#102A43\", header_text: \"#ffffff\", link: \"#0b5cad\"}\n" +
			"  footer:\n    default: Example Ltd \n    pt_br: Exemplo\n    de: |\n      Beispiel GmbH\n      Berlin\n",
			render.Branding{Name: "Example Hosting", Header: "#102a43", HeaderText: "#ffffff", Link: "#0b5cad",
				Logo:   &render.Logo{Content: large, Kind: "image/png", Width: 150, Height: 64},
				Footer: map[string]string{"": "Example Ltd", "pt-BR": "Exemplo", "de": "Beispiel GmbH\nBerlin"}}},
		"a footer for all":               {"  footer: Example Ltd\n", render.Branding{Footer: map[string]string{"": "Example Ltd"}}},
		"a header":                       {"  colours: {header: \"#102a43\"}\n", render.Branding{Header: "#102a43", HeaderText: "#ffffff"}},
		"a header too light for white":   {"  colours: {header: \"#ffffff\"}\n", render.Branding{Header: "#ffffff", HeaderText: "#767676"}},
		"fields without values are none": {"  name:\n  logo:\n  footer:\n  colours:\n", render.Branding{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := branded(t, test.file, map[string][]byte{"logo.jpg": large})
			if err != nil {
				t.Fatal(err)
			}
			work, err := s.Work()
			if err != nil {
				t.Fatal(err)
			}
			serve, err := s.Serve()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, work.Mail.Branding) + cmp.Diff(test.want, serve.Mail.Branding); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestABrandingThatCantBeIsRefusedWithItsLine by serve and work. The commands that make no mails mind none of it.
func TestABrandingThatCantBeIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	whole := picture(t, 40, 10)
	files := map[string][]byte{"logo.png": whole, "cut.png": whole[:len(whole)-20], "text.png": []byte("<svg/>"), "empty.png": nil,
		"large.png": append(picture(t, 40, 10), make([]byte, render.MaxLogo)...), "wide.png": picture(t, 2001, 1)}
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"a field":             {"  colors: {}\n", []string{`:4: "colors" is not a field of a branding; did you mean colours?`}},
		"text":                {"  Example\n", []string{":4: branding is plain text; want a branding such as"}},
		"a name":              {"  name: \"a\\nb\"\n", []string{":4: name: ", "is not one line of text"}},
		"a long name":         {"  name: " + strings.Repeat("é", 101) + "\n", []string{":4: name: ", "longer than 100 characters"}},
		"no logo":             {"  name: x\n  logo: gone.png\n", []string{":5: logo: gone.png can't be read: "}},
		"a directory":         {"  logo: .\n", []string{":4: logo: . is no file"}},
		"another type":        {"  logo: text.png\n", []string{":4: logo: text.png is neither a PNG, a JPEG nor a GIF"}},
		"an empty file":       {"  logo: empty.png\n", []string{":4: logo: empty.png is "}},
		"a logo that is cut":  {"  logo: cut.png\n", []string{":4: logo: cut.png is no whole image"}},
		"a large logo":        {"  logo: large.png\n", []string{":4: logo: large.png has 16", "a logo has 16384 at most"}},
		"a wide logo":         {"  logo: wide.png\n", []string{":4: logo: wide.png measures 2001 × 1 pixels"}},
		"a colour":            {"  colours:\n    header: navy\n    link: \"#12345\"\n", []string{`:5: header: "navy" is not a colour such as #0b5cad`, `:6: link: "#12345" is not a colour`}},
		"a comment":           {"  colours:\n    link: #0b5cad\n", []string{":5: link has no value: write a colour in quotes"}},
		"another colour":      {"  colours: {hedaer: \"#000000\"}\n", []string{`:4: "hedaer" is not a colour of a branding; did you mean header?`}},
		"a pale link":         {"  colours:\n    link: \"#4a90d9\"\n", []string{":5: link: #4a90d9 on #eef0f2 has a contrast of 2.", "needs 4.5 to be read (WCAG AA): #", " would do"}},
		"a header":            {"  colours:\n    header: \"#ff9900\"\n    header_text: \"#ffffff\"\n", []string{":6: header_text: #ffffff on #ff9900 has a contrast of 2.", " would do"}},
		"no header":           {"  colours:\n    header_text: \"#ffffff\"\n", []string{":5: header_text: #ffffff has no colour behind it: set header too"}},
		"no such language":    {"  footer:\n    default: x\n    klingonish: x\n", []string{`:6: footer: "klingonish" is not a language tag`, "default is for readers of all other languages"}},
		"no default":          {"  footer:\n    de: x\n", []string{":5: footer: readers of all other languages would have none: add default"}},
		"a language twice":    {"  footer:\n    default: x\n    pt-BR: x\n    pt_br: x\n", []string{":7: footer: pt-BR is given twice"}},
		"an empty footer":     {"  footer:\n    default: x\n    de:\n", []string{":6: footer: de is empty"}},
		"a long footer":       {"  footer: " + strings.Repeat("x", 1001) + "\n", []string{":4: footer: footer is longer than 1000 bytes or 12 lines"}},
		"many lines":          {"  footer: \"" + strings.Repeat("x\\n", 13) + "\"\n", []string{":4: footer: footer is longer"}},
		"a control character": {"  footer: \"a\\n\\x07b\"\n", []string{":4: footer: footer has a character in line 2 that no mail can show"}},
		"a list of lines":     {"  footer: {default: [a, b]}\n", []string{":4: default is a list; want one plain value"}},
		"all that is wrong":   {"  logo: gone.png\n  colours: {link: \"#ffffff\"}\n  footer: {xx: a}\n", []string{":4: logo", ":5: link", ":6: footer: \"xx\"", "add default"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := branded(t, test.file, files)
			if err != nil {
				t.Fatal(err)
			}
			_, workErr := s.Work()
			_, serveErr := s.Serve()
			for _, err := range []error{workErr, serveErr} {
				for _, want := range test.want {
					if err == nil || !strings.Contains(err.Error(), "tocsin.yaml"+want) && !strings.Contains(err.Error(), want) {
						t.Errorf("the error %v lacks %q", err, want)
					}
				}
			}
			if _, err := s.Client(); err != nil {
				t.Errorf("a command that makes no mails: %v", err)
			}
		})
	}
}
