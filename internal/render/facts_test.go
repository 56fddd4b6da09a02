package render

import (
	"bytes"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// usualNotice is a notice with a ready text that says all that one usually says.
func usualNotice() notice.Body {
	b := outage()
	b.Texts, b.Template, b.Phase, b.Severity, b.DefaultLanguage = nil, "outage", "identified", notice.Severities[1], "en"
	b.Parameters = given(map[string]string{"component": "webmail", "next_update": "2026-11-09T21:00", "status_page": "https://status.example.net"})
	b.Windows = []notice.Window{{Start: "2026-11-09T17:40", End: "2026-11-09T22:00", Zone: "Europe/Amsterdam"}}
	b.Phrases = []notice.Phrase{{Name: "cause.power"}, {Name: "effect.mail-kept"}, {Name: "action.do-not-send-again"}}
	return b
}

// mostOfAMail is how many bytes the mail of a usual notice has at most, with both parts and all headers.
const mostOfAMail = 12 << 10

// TestAMailOfAUsualNoticeIsSmallInEveryLanguage: with both parts, and in base64 where quoted-printable is larger.
func TestAMailOfAUsualNoticeIsSmallInEveryLanguage(t *testing.T) {
	t.Parallel()
	p := compile(t, usualNotice())
	for _, key := range thirty {
		r := recipient("Bakkerij De Vries", nil)
		r.Language = key
		text, _ := p.Match(key)
		raw, err := p.Render(nil, r, text, stamp())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", key, len(raw))
		if len(raw) > mostOfAMail {
			t.Errorf("%s: %d bytes, want %d at most", key, len(raw), mostOfAMail)
		}
		if encoded, want := bytes.Contains(raw, []byte("Content-Transfer-Encoding: base64")), bytes.Count(raw, []byte("=E")) > 1000; want && !encoded {
			t.Errorf("%s: quoted-printable", key)
		}
	}
}

// TestAMailHasTheFactsOfItsReader in both parts: the service, when in the reader's zone, the state, the next update,
// and a button.
func TestAMailHasTheFactsOfItsReader(t *testing.T) {
	t.Parallel()
	p := compile(t, usualNotice())
	for language, want := range map[string][]string{
		"en": {"Major outage · Cause identified\nService: webmail\nWhen: Tuesday, ", "(Asia/Tokyo,\u00a0UTC+9)\nNext update by: Tuesday, "},
		"ar": {"الخدمة: \u2068webmail\u2069\n"},
		"ja": {"サービス: webmail\n", "日時: 2026年"},
	} {
		r := recipient("Ann", nil)
		r.Language, r.TimeZone = language, "Asia/Tokyo"
		m := preview(t, p, r)
		for _, w := range want {
			if !strings.Contains(m.Text, w) {
				t.Errorf("%s: lacks %q:\n%s", language, w, m.Text)
			}
		}
		start := map[bool]string{true: `align="right"`, false: `align="left"`}[language == "ar"]
		for _, w := range []string{start, `<th scope="row"`, `href="https://status.example.net"`, "background:#b34f00", "[if mso]"} {
			if !strings.Contains(m.HTML, w) {
				t.Errorf("%s: lacks %q:\n%s", language, w, m.HTML)
			}
		}
	}
}

// TestFactsSayNothingThatDoesNotHold: not the time of a cancelled maintenance, nor an update after the last; and
// nothing where a notice gives nothing.
func TestFactsSayNothingThatDoesNotHold(t *testing.T) {
	t.Parallel()
	b := usualNotice()
	b.Phrases, b.Phase = nil, "resolved"
	if m := preview(t, compile(t, b), recipient("Ann", nil)); strings.Contains(m.Text, "Next update by") {
		t.Errorf("%s", m.Text)
	}
	b.Kind, b.Template, b.Phase = notice.Maintenance, "maintenance", "cancelled"
	delete(b.Parameters, "next_update")
	if m := preview(t, compile(t, b), recipient("Ann", nil)); strings.Contains(m.Text, "\nWhen: ") || !strings.Contains(m.Text, "Service: webmail") {
		t.Errorf("%s", m.Text)
	}
	plain := own("s", "x")
	plain.Windows, plain.Parameters = nil, nil
	if m := preview(t, compile(t, plain), recipient("Ann", nil)); strings.Contains(m.HTML, "facts\"") {
		t.Errorf("%s", m.HTML)
	}
}

// TestColoursOfStatesAreReadable under white letters, as WCAG 2.2 asks for at 1.4.3.
func TestColoursOfStatesAreReadable(t *testing.T) {
	t.Parallel()
	for _, phase := range anyPhase() {
		for _, severity := range append([]string{""}, notice.Severities...) {
			c := string(colour(noticeFields{Phase: phase, Severity: severity}))
			if ratio, err := Contrast(c, "#ffffff"); err != nil || ratio < LeastContrast {
				t.Errorf("%s, %s: %s has %.2f, %v", phase, severity, c, ratio, err)
			}
		}
	}
}
