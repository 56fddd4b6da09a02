package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func TestWebhooksAreReadOrRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const old, fresh = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	one, two, slack := put("one", old+"\n"), put("two", fresh+"\n"+old+"\n"), put("slack", "https://hooks.example.net/T0/B0/x?sig=1\n")
	short, none, many, text := put("short", "c2hvcnQ="), put("none", "\n"), put("many", old+" "+old+" "+old), put("text", "not base64!")
	for name, c := range map[string]struct{ entry, wrong string }{
		"signed":                  {"{name: a, url: https://h.example/x, secret_file: " + one + "}", ""},
		"while a secret changes":  {"{name: a, url: http://h.example/x, secret_file: " + two + ", events: [held, brake]}", ""},
		"a chat":                  {"{name: a, url_file: " + slack + ", form: slack}", ""},
		"no name":                 {"{url: https://h.example, secret_file: " + one + "}", "has no name"},
		"a name of another kind":  {"{name: On Call, url: https://h.example, secret_file: " + one + "}", "no name of a-z"},
		"no URL":                  {"{name: a, secret_file: " + one + "}", "a url or a url_file"},
		"two URLs":                {"{name: a, url: https://h.example, url_file: " + slack + ", secret_file: " + one + "}", "one of the two"},
		"no scheme":               {"{name: a, url: h.example, secret_file: " + one + "}", "is not a URL"},
		"a password in it":        {"{name: a, url: https://u:confidential@h.example, secret_file: " + one + "}", "without a user"},
		"another scheme":          {"{name: a, url: file:///etc/passwd, secret_file: " + one + "}", "is not a URL"},
		"no secret":               {"{name: a, url: https://h.example}", "has no secret_file"},
		"a chat with a secret":    {"{name: a, url: https://h.example, form: teams, secret_file: " + one + "}", "is not signed"},
		"a chat over http":        {"{name: a, url: http://h.example, form: slack}", "wants https"},
		"another form":            {"{name: a, url: https://h.example, form: discord}", "neither standard, slack nor teams"},
		"a secret that is short":  {"{name: a, url: https://h.example, secret_file: " + short + "}", "5 bytes; it has 24 at least"},
		"a file without a secret": {"{name: a, url: https://h.example, secret_file: " + none + "}", "neither one secret nor two"},
		"a file with three":       {"{name: a, url: https://h.example, secret_file: " + many + "}", "neither one secret nor two"},
		"a secret of words":       {"{name: a, url: https://h.example, secret_file: " + text + "}", "not base64"},
		"no file":                 {"{name: a, url: https://h.example, secret_file: /nowhere}", "can't be read"},
		"another event":           {"{name: a, url: https://h.example, events: [sent], secret_file: " + one + "}", `"sent" is none of released, started`},
		"a field that is not":     {"{name: a, link: https://h.example}", "link"},
		"one name twice":          {"{name: a, url: https://h.example, secret_file: " + one + "}\n  - {name: a, url: https://h.example, secret_file: " + one + "}", "line 2 is named"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, "tocsin.yaml", "webhooks:\n  - "+c.entry+"\n")
			var set Serve
			s, err := Read(nil, append([]string{"TOCSIN_CONFIG=" + path}, servers...))
			if err == nil {
				set, err = s.Serve()
			}
			switch {
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "tocsin.yaml:")):
				t.Errorf("%v, want a line of the file and %q", err, c.wrong)
			case err != nil && strings.Contains(err.Error(), "confidential"):
				t.Errorf("the error has a password in it: %v", err)
			case err == nil && (len(set.Webhooks) != 1 || !strings.HasPrefix(set.Webhooks[0].URL, "http")):
				t.Errorf("read %+v", set.Webhooks)
			}
			if err == nil && name == "while a secret changes" {
				w := set.Webhooks[0]
				if !slices.Equal(w.Secrets, []string{fresh, old}) || !slices.Equal(w.Events, []notice.WebhookEvent{notice.EventHeld, notice.EventBrake}) {
					t.Errorf("read %+v", w)
				}
			}
		})
	}
}
