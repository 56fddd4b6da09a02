package audience

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"tocsin/internal/notice"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for name, c := range map[string]struct{ in, key, wire string }{
		"a plain address":                        {"info@example.com", "info@example.com", "info@example.com"},
		"case is kept on the wire only":          {"Info@EXAMPLE.com", "info@example.com", "Info@example.com"},
		"blanks around it are dropped":           {"\u00a0 a@b.example\u3000\n", "a@b.example", "a@b.example"},
		"a dot at the end is dropped":            {"a@b.example.", "a@b.example", "a@b.example"},
		"a U-label becomes an A-label":           {"a@Bücher.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		"an A-label stays":                       {"a@XN--bcher-kva.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		"a full-width dot is a dot":              {"a@b。example", "a@b.example", "a@b.example"},
		"sharp s is a letter of its own":         {"a@faß.example", "a@xn--fa-hia.example", "a@xn--fa-hia.example"},
		"hyphens in the middle are DNS's matter": {"a@ab--cd.example", "a@ab--cd.example", "a@ab--cd.example"},
		"a UTF-8 local part":                     {"JOSÉ@example.com", "josé@example.com", "JOSÉ@example.com"},
		"a decomposed local part composes":       {"jose\u0301@example.com", "josé@example.com", "jose\u0301@example.com"},
		"a Greek capital sigma at the end":       {"ΟΔΥΣΣΕΥΣ@example.com", "οδυσσευς@example.com", "ΟΔΥΣΣΕΥΣ@example.com"},
		"no locale for the dotted I":             {"I@example.com", "i@example.com", "I@example.com"},
		"plus and slash":                         {"a+b/c=d@example.com", "a+b/c=d@example.com", "a+b/c=d@example.com"},
		"a quoted string is kept":                {`"John Doe"@example.com`, `"john doe"@example.com`, `"John Doe"@example.com`},
		"needless quotes are no other mailbox":   {`"John.Doe"@example.com`, `john.doe@example.com`, `"John.Doe"@example.com`},
		"nor are needless escapes":               {`"\j\o"@example.com`, `jo@example.com`, `"\j\o"@example.com`},
		"a quoted at sign":                       {`"a@b\"c"@example.com`, `"a@b\"c"@example.com`, `"a@b\"c"@example.com`},
		"a letter that NFC makes a sign":         {"a\u037eb@example.com", `"a;b"@example.com`, "a\u037eb@example.com"},
		"a local part of 64 octets":              {long + "@example.com", long + "@example.com", long + "@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := ParseAddress(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if a.Key() != c.key || a.Wire() != c.wire {
				t.Errorf("key %q, wire %q; want %q, %q", a.Key(), a.Wire(), c.key, c.wire)
			}
		})
	}
}

func TestParseAddressKeepsTheTextAsWritten(t *testing.T) {
	t.Parallel()
	a, err := ParseAddress(" Info@Bücher.Example. ")
	if want := (Address{"Info", "xn--bcher-kva.example", "Info@Bücher.Example"}); err != nil || a != want {
		t.Errorf("got %+v, %v; want %+v", a, err, want)
	}
	if k := (Address{}).Key(); k != "" {
		t.Errorf("the zero address has the key %q", k)
	}
}

func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("b", 62) + "."
	for name, c := range map[string]struct{ in, want string }{
		"nothing":                       {" ", "is empty"},
		"no at sign":                    {"info.example.com", "no @"},
		"two at signs":                  {"a@b@example.com", "more than one @"},
		"no local part":                 {"@example.com", "nothing before"},
		"an empty quoted local part":    {`""@example.com`, "nothing before"},
		"no domain":                     {"info@", "no domain"},
		"a single label":                {"root@localhost", "single label"},
		"an address literal":            {"a@[192.0.2.1]", "literal"},
		"an IP address":                 {"a@192.0.2.1", "is a number"},
		"a display name":                {"Info <info@example.com>", "angle brackets"},
		"two addresses":                 {"a@example.com, b@example.com", "comma"},
		"two addresses, semicolon":      {"a@example.com;b@example.com", "semicolon"},
		"a comment":                     {"a(b)@example.com", "would need double quotes"},
		"a blank":                       {"a b@example.com", "blank"},
		"a no-break space inside":       {"a\u00a0b@example.com", "blank"},
		"a dot at the start":            {".a@example.com", "a dot at an end"},
		"two dots":                      {"a..b@example.com", "two in a row"},
		"a header injection":            {"a@example.com\r\nBcc: x@example.com", "control character"},
		"a NUL":                         {"a\x00@example.com", "control character"},
		"a C1 control":                  {"a\u0085b@example.com", "control character"},
		"a line separator":              {"a\u2028b@example.com", "line break"},
		"a zero-width space":            {"a\u200bb@example.com", "invisible"},
		"a right-to-left override":      {"a\u202eb@example.com", "invisible"},
		"invalid UTF-8":                 {"a\xff@example.com", "not UTF-8"},
		"a curly apostrophe":            {"o’brien@example.com", "’ (U+2019), which word processors write in the place of ': type '"},
		"a dash":                        {"ann–lee@example.com", "type -"},
		"a minus in the domain":         {"a@b−c.example", "type -"},
		"curly quotes":                  {"“ann lee”@example.com", "blank"},
		"curly quotes without a blank":  {"“ann”@example.com", `type "`},
		"an ellipsis":                   {"a…b@example.com", "type ..."},
		"a wide letter":                 {"ａnn@example.com", "type a"},
		"a wide at sign":                {"ann＠example.com", "wide @"},
		"a bracket in quotes":           {`"a<b"@example.com`, "a comma before the @"},
		"a comma in quotes":             {`"a,b"@example.com`, "a comma before the @"},
		"an open quote":                 {`"a@example.com`, "never closed"},
		"text behind the quote":         {`"a"b@example.com`, "right after the closing quote"},
		"a local part of 65 octets":     {strings.Repeat("a", 65) + "@example.com", "longer than 64"},
		"a key longer than 64 octets":   {strings.Repeat("Ⱥ", 32) + "@example.com", "longer than 64"},
		"a path of 255 octets":          {strings.Repeat("a", 56) + "@" + strings.Repeat(label, 3) + "example.ex", "longer than 254"},
		"a label of 64 octets":          {"a@" + strings.Repeat("b", 64) + ".example", "63"},
		"an underscore in the domain":   {"a@b_c.example", "other than letters"},
		"a hyphen at the label's start": {"a@-b.example", "hyphen"},
		"two dots in the domain":        {"a@b..example", "two in a row"},
		"two dots at the end":           {"a@b.example..", "two in a row"},
		"a broken A-label":              {"a@xn--a.example", "internationalised"},
		"a domain in quotes":            {`a@"b".example`, "other than letters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := ParseAddress(c.in)
			e, ok := errors.AsType[*notice.Error](err)
			if !ok || !strings.Contains(e.Message, c.want) || e.Code != notice.CodeInvalid || e.Field != "address" {
				t.Fatalf("got %+v, %v; want %q", a, err, c.want)
			}
			if in := strings.TrimSpace(c.in); len(in) > 5 && strings.Contains(e.Message, in) {
				t.Errorf("%q repeats the address", e.Message)
			}
		})
	}
}

func TestDomainsAreALabels(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Mail.Example": "mail.example", "bücher.example.": "xn--bcher-kva.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"": "", "localhost": "", "192.0.2.1": "", "[192.0.2.1]": "", "a@b.example": "", "mail .example": "", "é..example": "",
		strings.Repeat("a.", 127) + "example": "",
	} {
		if got, reason := domainKey(in); got != want || (reason == "") != (want != "") {
			t.Errorf("%q: %q, %q", in, got, reason)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@b.example", `"a \"@ b"@b.example`, "é@ü.example", "İ@example.com", "a\u037eb@x.y.", "ΑΣ.Σ@x.y",
		"a@xn--bcher-kva.example", `"<` + "\u0338" + `"@x.y`, "a@b。c", "K\u200d@x.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		key, wire := a.Key(), a.Wire()
		for _, out := range []string{key, wire, a.Text} {
			if strings.ContainsFunc(out, unicode.IsControl) {
				t.Errorf("%q holds a control character", out)
			}
			if n := unquotedAts(out); n != 1 {
				t.Errorf("%q has %d unquoted @", out, n)
			}
			if len(out) > maxPath && out != a.Text {
				t.Errorf("%q is too long", out)
			}
		}
		for _, again := range []string{key, wire} {
			b, err := ParseAddress(again)
			if err != nil || b.Key() != key {
				t.Errorf("%q: key %q; parsed again %q, %v", again, key, b.Key(), err)
			}
		}
	})
}

func unquotedAts(s string) (n int) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '@' && !quoted:
			n++
		}
	}
	return n
}
