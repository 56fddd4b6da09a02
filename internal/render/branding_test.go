package render

import (
	"bytes"
	"strings"
	"testing"
)

// TestALogoAndAFooterGoWithEachMail: the logo as a part next to the page, the footer in the reader's language, else the
// one for all.
func TestALogoAndAFooterGoWithEachMail(t *testing.T) {
	t.Parallel()
	s := builtin().Branded(Branding{Header: "#102a43", HeaderText: "#ffffff", Logo: &Logo{Content: []byte("GIF89a"), Kind: "image/gif", Width: 120, Height: 40},
		Footer: map[string]string{"": "Example Ltd", "de": "Beispiel GmbH\nBerlin"}})
	b := usualNotice()
	texts, err := s.Texts(b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Compile(Source{Body: b, Texts: texts, From: "Example Status <status@example.net>"})
	if err != nil {
		t.Fatal(err)
	}
	for language, want := range map[string]string{"de-AT": "Beispiel GmbH\nBerlin\n", "nl": "Example Ltd\n"} {
		r := recipient("Ann", nil)
		r.Language = language
		text, _ := p.Match(language)
		raw, err := p.Render(nil, r, text, stamp())
		if err != nil {
			t.Fatal(err)
		}
		m, err := Open(raw)
		if err != nil {
			t.Fatal(err)
		}
		id := s.branding.Logo.id()
		if !strings.HasSuffix(m.Text, "Example Status\n"+want) || !strings.Contains(m.HTML, `src="data:image/gif;base64,R0lGODlh"`) || !strings.Contains(m.HTML, "background:#102a43;color:#ffffff") ||
			!bytes.Contains(raw, []byte("Content-ID: <"+id+">\r\n")) || !bytes.Contains(raw, []byte("multipart/related")) {
			t.Errorf("%s: %s\n%s", language, m.Text, raw)
		}
	}
}
