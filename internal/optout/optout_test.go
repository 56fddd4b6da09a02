package optout

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/templates"
)

// shown is the page of a reader, without the spaces between its parts.
func shown(t *testing.T, c notice.Choices) string {
	t.Helper()
	w := httptest.NewRecorder()
	New(render.New(templates.FS, nil), `"Status & <Co>" <status@example.net>`).Choices(w, c, false)
	text := w.Body.String()
	_, style, _ := strings.Cut(text, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy %s does not allow the style of the page", policy)
	}
	if !strings.Contains(text, "<bdi>Status &amp; &lt;Co&gt;</bdi>") {
		t.Errorf("the name of the sender is not as it should be:\n%s", text)
	}
	return text
}

func TestAPageOffersWhatTheReaderCanDo(t *testing.T) {
	t.Parallel()
	both := []notice.Scope{notice.ScopePostmortem, notice.ScopeAdvisory}
	for name, tt := range map[string]struct {
		stopped, barred []notice.Scope
		buttons         string
	}{
		"nothing is stopped":              {nil, nil, "stop stop"},
		"all is stopped":                  {both, nil, "resume resume"},
		"one of each":                     {both[:1], both[1:], "resume"},
		"the sender stops what I stopped": {both[:1], both, "resume"},
		"the sender stops all":            {nil, both, ""},
	} {
		text := shown(t, notice.Choices{Topic: notice.ScopePostmortem, Languages: []string{"en"}, Stopped: tt.stopped, Barred: tt.barred})
		want := map[string]int{Stop: strings.Count(tt.buttons, "stop"), Resume: strings.Count(tt.buttons, "resume")}
		for do, n := range want {
			if got := strings.Count(text, fmt.Sprintf(`name="do" value=%q`, do)); got != n {
				t.Errorf("%s: %d times %s, want %d:\n%s", name, got, do, n, text)
			}
		}
		if got := strings.Count(text, "The sender has stopped"); got != len(tt.barred) {
			t.Errorf("%s: %d topics are stopped by the sender, want %d", name, got, len(tt.barred))
		}
	}
}

// TestAPageIsInTheReadersLanguage, else in that of the mail, else in English.
func TestAPageIsInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ reader, mail, want string }{
		{"de-CH", "en", `lang="de-CH" dir="ltr"`}, {"de-AT", "en", `lang="de" dir="ltr"`}, {"ar-EG", "en", `lang="ar" dir="rtl"`}, {"he", "he", `lang="he" dir="rtl"`},
		{"fy", "nl", `lang="nl" dir="ltr"`}, {"tlh", "tlh", `lang="en" dir="ltr"`}, {"", "ja", `lang="ja" dir="ltr"`}, {"und", "sv", `lang="sv"`},
		{"\x00<script>", "fr", `lang="fr"`},
	} {
		if text := shown(t, notice.Choices{Topic: notice.ScopeAdvisory, Languages: []string{tt.reader, tt.mail}}); !strings.Contains(text, "<html "+tt.want) {
			t.Errorf("%s, %s: want %s\n%.200s", tt.reader, tt.mail, tt.want, text)
		}
	}
}
