package render

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// strictEmail fails on any defect that Python's parser sees, in the structure or in a header.
const strictEmail = `
import sys, email, email.policy
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default.clone(raise_on_defect=True))
for part in message.walk():
    assert not part.defects, part.defects
    for name in part:
        assert not part[name].defects, (name, part[name], part[name].defects)
print(message["subject"])
print(message["from"].addresses[0].addr_spec)
print(message["x-notice"].strip())
print(message["message-id"].strip())
print(message.get_body(("plain",)).get_content(), end="")
print(message.get_body(("html",)).get_content(), end="")
`

func TestPythonReadsAMessageWithoutADefect(t *testing.T) {
	t.Parallel()
	python := testkit.Program(t, "python3")
	long := strings.Repeat("Ünïcödé 東京 ", 60) // no subject holds it in one line, nor in one encoded word
	for name, tt := range map[string]struct {
		body           notice.Body
		language, name string
	}{
		"outage in English":         {outage(), "en", "Zoë “O'Brien” 😀 <x@y.example>"},
		"outage in Dutch":           {outage(), "nl", long},
		"outage in Arabic":          {arabic(), "ar-EG", "مؤسسة النور للتجارة"},
		"a long name in Arabic":     {arabic(), "ar", long},
		"a long name in a subject":  {own("{{.Customer.Name}}", "Hello {{.Customer.Name}}"), "en", long},
		"an encoded word as a name": {own("{{.Customer.Name}}: ünïcode", "x"), "en", "=?utf-8?q?x?="},
		"a subject of one word":     {own(strings.Repeat("long", 250), "Hello\n\n.\n\nFrom here\n"), "en", "A"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recipient(tt.name, map[string]string{"accounts": "12345"})
			r.Language = tt.language
			p := compileFrom(t, tt.body, "Ünïcödé Status long enough to be folded into more than one line of a header <status@bücher.example>")
			text, _ := p.Match(r.Language)
			st := stamp()
			st.NoticeKey = strings.Repeat("k", 100)
			st.MessageID = "<" + strings.Repeat("m", 120) + "@example.net>"
			m, err := render(p, r, text, st)
			if err != nil {
				t.Fatal(err)
			}
			read(t, m.Raw)
			cmd := exec.CommandContext(t.Context(), python, "-c", strictEmail)
			cmd.Env = append(cmd.Environ(), "PYTHONIOENCODING=utf-8")
			cmd.Stdin = bytes.NewReader(m.Raw)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			got, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			want := strings.Join([]string{m.Subject, "status@xn--bcher-kva.example", st.NoticeKey, st.MessageID, m.Text + m.HTML}, "\n")
			if diff := cmp.Diff(want, strings.ReplaceAll(string(got), "\r\n", "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
