package render

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// rendered is a message as a reader sees it, with its bytes.
type rendered struct {
	Message
	Raw []byte
}

// render renders a message.
func render(p *Program, r notice.Recipient, text string, st Stamp) (m rendered, err error) {
	if m.Raw, err = p.Render(nil, r, text, st); err == nil {
		m.Message, err = Open(m.Raw)
	}
	return m, err
}

// parsed is a message as a receiver reads it.
type parsed struct {
	header     mail.Header
	text, html string
}

func header(t fataler, h mail.Header, name string) string {
	s, err := new(mime.WordDecoder).DecodeHeader(h.Get(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// read reads a message by the letter: CRLF alone, no line over 998 octets, two parts and perhaps a calendar.
func read(t fataler, raw []byte) parsed {
	if bytes.Count(raw, []byte("\r\n")) != bytes.Count(raw, []byte("\n")) || bytes.Count(raw, []byte("\r\n")) != bytes.Count(raw, []byte("\r")) {
		t.Fatalf("a line does not end in CRLF")
	}
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 {
			t.Fatalf("a line of %d octets", len(line))
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v", err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	var body io.Reader = m.Body
	if kind == "multipart/mixed" { // a calendar follows
		part, e := multipart.NewReader(m.Body, params["boundary"]).NextRawPart()
		if e != nil {
			t.Fatalf("%v", e)
		}
		kind, params, err = mime.ParseMediaType(part.Header.Get("Content-Type"))
		body = part
	}
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %s: %v", kind, err)
	}
	p := parsed{header: m.Header}
	parts := multipart.NewReader(body, params["boundary"])
	for _, want := range []struct {
		kind string
		into *string
	}{{"text/plain; charset=UTF-8", &p.text}, {"text/html; charset=UTF-8", &p.html}} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatalf("%v", err)
		}
		var decoded io.Reader = quotedprintable.NewReader(part)
		encoding := part.Header.Get("Content-Transfer-Encoding")
		if encoding == "base64" {
			decoded = base64.NewDecoder(base64.StdEncoding, part)
		}
		if part.Header.Get("Content-Type") != want.kind || encoding != "quoted-printable" && encoding != "base64" {
			t.Fatalf("part %v, want %s", part.Header, want.kind)
		}
		body, err := io.ReadAll(decoded)
		if err != nil {
			t.Fatalf("%v", err)
		}
		*want.into = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Fatalf("more than two parts: %v", err)
	}
	return p
}

func TestAMessageHasTheHeadersOfADelivery(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Stacked = notice.StackAlways
	r := recipient("Bakkerij De Vries", nil)
	r.Address, r.Language = `Jörg.Bäcker@Bücher.example`, "nl"
	m, err := render(compile(t, b), r, "nl", stamp())
	if err != nil {
		t.Fatal(err)
	}
	p := read(t, m.Raw)
	got := map[string]string{}
	for name := range p.header {
		got[name] = header(t, p.header, name)
	}
	delete(got, "Content-Type")
	want := map[string]string{
		"From":             `"Example Status" <status@example.net>`,
		"To":               "<Jörg.Bäcker@xn--bcher-kva.example>",
		"Reply-To":         "<support@example.net>",
		"Subject":          "Storing: mail server s639 / Problem with mail server s639",
		"Date":             "Mon, 09 Nov 2026 03:14:07 +0100",
		"Message-Id":       "<4f0c9a.17@example.net>",
		"In-Reply-To":      "<77aa01.17@example.net>",
		"References":       "<77aa01.17@example.net> <77aa02.17@example.net>",
		"Content-Language": "nl, en",
		"Auto-Submitted":   "auto-generated",

		"X-Auto-Response-Suppress": "OOF, AutoReply",
		"List-Id":                  "<status.example.net>",
		"Feedback-Id":              "mail-2026-11-09:investigating:outage:tocsin-6a390809",
		"X-Notice":                 "mail-2026-11-09.first",
		"Mime-Version":             "1.0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if p.text != m.Text || p.html != m.HTML {
		t.Error("the parts are not what the message says")
	}
	for _, want := range []string{"Op dit moment is mail server s639", "At the moment, mail server s639", "\n* * *\n"} {
		if !strings.Contains(p.text, want) {
			t.Errorf("the text part lacks %q:\n%s", want, p.text)
		}
	}
	for _, want := range []string{`<html lang="nl" dir="ltr">`, `<div class="block ltr" lang="nl" dir="ltr">`, `<div class="block ltr" lang="en" dir="ltr">`} {
		if !strings.Contains(p.html, want) {
			t.Errorf("the HTML part lacks %q", want)
		}
	}
}

func TestAddressesAreMadeFitForTheHeader(t *testing.T) {
	t.Parallel()
	p := compile(t, outage())
	for address, want := range map[string]string{
		"Anna.Smit@EXAMPLE.org":   "<Anna.Smit@example.org>",
		`"anna smit"@example.org`: `<"anna smit"@example.org>`,
		"anna@[192.0.2.1]":        "<anna@[192.0.2.1]>",
		"用户@例え.jp":                "<用户@xn--r8jz45g.jp>",
		"no address":              "",
		"a@b@c":                   "",
		"a@ex\r\nBcc: x@y.z":      "",
		"a@-example.org":          "",
	} {
		r := recipient("A", nil)
		r.Address = address
		m, err := render(p, r, "en", stamp())
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken", address)
			} else if strings.Contains(err.Error(), address) {
				t.Errorf("the error gives the address away: %v", err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", address, err)
			continue
		}
		if got := read(t, m.Raw).header.Get("To"); got != want {
			t.Errorf("%q: got %s, want %s", address, got, want)
		}
	}
}

func TestTheSameArgumentsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	r := recipient("Anna", nil)
	first, err := render(compile(t, outage()), r, "en", stamp())
	if err != nil {
		t.Fatal(err)
	}
	again, err := render(compile(t, outage()), r, "en", stamp())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Raw, again.Raw) {
		t.Error("they differ")
	}
	st := stamp()
	st.MessageID = "<other@example.net>"
	other, err := render(compile(t, outage()), r, "en", st)
	if err != nil {
		t.Fatal(err)
	}
	if boundaryOf(t, first.Raw) == boundaryOf(t, other.Raw) {
		t.Error("two Message-IDs have one boundary")
	}
}

func boundaryOf(t *testing.T, raw []byte) string {
	t.Helper()
	_, params, err := mime.ParseMediaType(read(t, raw).header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	return params["boundary"]
}

func TestTheSenderIsMadeFitForTheHeader(t *testing.T) {
	t.Parallel()
	b := outage()
	b.ReplyTo = "Hilfe <hilfe@bücher.example>"
	m, err := render(compileFrom(t, b, "Störung  Info <status@bücher.example>"), recipient("A", nil), "en", stamp())
	if err != nil {
		t.Fatal(err)
	}
	h := read(t, m.Raw).header
	if got := header(t, h, "From") + " " + header(t, h, "Reply-To"); got !=
		`Störung Info <status@xn--bcher-kva.example> "Hilfe" <hilfe@xn--bcher-kva.example>` {
		t.Errorf("got %s", got)
	}
}

func TestABoundaryWithinTheTextIsAvoided(t *testing.T) {
	t.Parallel()
	st := stamp()
	st.MessageID = "<a@b>"
	first, err := render(compile(t, own("s", "x")), recipient("A", nil), "en", st)
	if err != nil {
		t.Fatal(err)
	}
	b := boundaryOf(t, first.Raw)
	r := recipient("--"+b, nil)
	m, err := render(compile(t, own("s", "{{.Customer.Name}}")), r, "en", st)
	if err != nil {
		t.Fatal(err)
	}
	if p := read(t, m.Raw); !strings.Contains(p.text, b) {
		t.Errorf("the name is lost: %s", p.text)
	}
}

// spaces makes one space of any run of characters that wrapping and subjects treat as one.
func spaces(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestWhateverCustomersAreCalledTheMessageHolds(t *testing.T) {
	t.Parallel()
	program := compile(t, own("To {{.Customer.Name}}",
		"Dear {{.Customer.Name}},\n\n- {{.Customer.Attributes.region}}\n\n`{{.Customer.Attributes.region}}` [x](https://x.example/?n={{.Customer.Name}})\n"))
	wild := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"<script>alert(1)</script>", "{{.Customer.ID}}", `"'&<>`, "a\r\nBcc: x@y.example", "\r\n\r\nbody",
			strings.Repeat("x", 1200), strings.Repeat("ü", 1200), strings.Repeat("w ", 700), "\u202Eevil\u202C", "שלום", "👩‍👩‍👧‍👦🇳🇱", "=?utf-8?q?=0D=0A?=",
			".", "..", "From x", "--", "\x00\x1b[31m", "\xff\xfe", "*b* _i_ `c` [l](u)", "qzxpaaaa", "\uFDD0\uFDD1w\uFDD2", "\u2028\u2029", "#ZgotmplZ"}),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		name, region := wild.Draw(t, "name"), wild.Draw(t, "region")
		r := recipient(name, map[string]string{"region": region})
		check := program.Check(r, "en")
		m, err := render(program, r, "en", stamp())
		if clean(name) == "" || clean(region) == "" {
			if _, ok := errors.AsType[*notice.Error](err); !ok || check == nil {
				t.Fatalf("a hole left as a message: %v, %v", check, err)
			}
			return
		}
		if err != nil || check != nil {
			t.Fatalf("%v, %v", check, err)
		}
		p := read(t, m.Raw)
		if len(p.header) != 16 || p.header["Bcc"] != nil {
			t.Fatalf("headers: %v", p.header)
		}
		if got, want := header(t, p.header, "Subject"), spaces("To "+clean(name)); got != want {
			t.Fatalf("subject %q, want %q", got, want)
		}
		if want := "<p>Dear " + escaped(isolate(clean(name), false)) + ",</p>"; !strings.Contains(p.html, want) {
			t.Fatalf("the HTML part lacks %q:\n%s", want, p.html)
		}
		if want := spaces("Dear " + isolate(clean(name), false) + ","); !strings.Contains(unwrapped(p.text), unwrapped(want)) {
			t.Fatalf("the text part lacks %q:\n%s", want, p.text)
		}
		if strings.Contains(p.html, "<script") {
			t.Fatalf("a script in the HTML part:\n%s", p.html)
		}
	})
}

// isolate writes a value that mixes with the text around it between marks of direction.
func isolate(s string, rtl bool) string {
	if mixes(s, rtl) {
		return "\u2068" + s + "\u2069"
	}
	return s
}

// escaped writes s as html/template does in an element.
func escaped(s string) string {
	return strings.NewReplacer("&#34;", "&#34;", "+", "&#43;").Replace(html.EscapeString(s))
}

// unwrapped removes all space: wide scripts are wrapped where there is none.
func unwrapped(s string) string { return strings.Join(strings.Fields(s), "") }

func TestAProgramServesManyReadersAtOnce(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Stacked = notice.StackAlways
	p := compile(t, b)
	languages := []string{"en-US", "en-GB", "nl", "ar", "fa"}
	want := make([]rendered, len(languages))
	readers := make([]notice.Recipient, len(languages))
	for i, l := range languages {
		readers[i] = recipient(fmt.Sprintf("Customer %d", i), nil)
		readers[i].Language = l
		text, _ := p.Match(l)
		var err error
		if want[i], err = render(p, readers[i], text, stamp()); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			fresh := compile(t, b)
			for n := range 25 {
				i := (g + n) % len(languages)
				text, _ := fresh.Match(languages[i])
				for _, program := range []*Program{p, fresh} {
					if err := program.Check(readers[i], text); err != nil {
						t.Error(err)
					}
					got, err := render(program, readers[i], text, stamp())
					if err != nil || !bytes.Equal(got.Raw, want[i].Raw) {
						t.Errorf("%s differs: %v", languages[i], err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCheck(b *testing.B) {
	p := compile(b, outage())
	r := recipient("Bakkerij De Vries", map[string]string{"plan": "gold", "server": "s639"})
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Check(r, "en"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	p := compile(b, outage())
	r := recipient("Bakkerij De Vries", map[string]string{"plan": "gold", "server": "s639"})
	st := stamp()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = p.Render(buf[:0], r, "en", st); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	p := compile(b, outage())
	for b.Loop() {
		p.Match("de-CH")
		p.Match("nl-BE")
	}
}
