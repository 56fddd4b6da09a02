package render

import (
	"net/mail"
	"strings"
	"testing"
)

func TestAllMailsOfASenderAreOneList(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"Example Status <status@example.net>": "status.example.net",
		"power~feeds_2@example.net":           "power~feeds_2.example.net",
		"status@bücher.example":               "status.xn--bcher-kva.example",
		`"mail status"@example.net`:           "mail.status.example.net",
		`".a..b."@example.net`:                "a.b.example.net",
		"a@[192.0.2.1]":                       "a.192.0.2.1",
		`"a b:x@y"@z.example.net`:             "a.b.x.y.z.example.net",
	} {
		a, err := parseMailbox(from)
		if err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		if got := listID(a); got != want {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
	}
}

// TestLinesOfTheHeaderFit: no line of the header is longer than a server has to take (RFC 5322 §2.1.1), whatever is in
// the names, the subject and the key.
func TestLinesOfTheHeaderFit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	for _, name := range []string{long, strings.Repeat("ü", 1500), "a " + long + " b", strings.Repeat("word ", 600), strings.Repeat("\"", 1200)} {
		b := outage()
		name = (&mail.Address{Name: name, Address: "status@example.net"}).String()
		b.ReplyTo = strings.ReplaceAll(name, "status@", "support@")
		b.Incident = strings.Repeat("i", 100)
		st := stamp()
		st.NoticeKey, st.Mark = strings.Repeat("k", 100), long
		m, err := render(compileFrom(t, b, name), recipient("A", nil), "en", st)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			if len(line) > 998 {
				t.Errorf("a line has %d bytes: %.60s", len(line), line)
			}
		}
		from, err := mail.ParseAddress(read(t, m.Raw).header.Get("From"))
		want, _ := mail.ParseAddress(name)
		if err != nil || from.Name != strings.Join(strings.Fields(want.Name), " ") || from.Address != want.Address {
			t.Errorf("%v: the sender is %.60q", err, from)
		}
	}
}
