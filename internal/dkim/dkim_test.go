package dkim

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"
)

// key makes a key of a kind.
func key(t testing.TB, kind, selector string) *Key {
	t.Helper()
	text, err := New(kind)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Read(text, "status.example.net", selector)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keys makes one key of each kind.
func keys(t testing.TB) Keys { return Keys{key(t, "rsa", "a2026"), key(t, "ed25519", "b2026")} }

// verify has go-msgauth verify a message by the records of the keys, and returns the error of each signature.
func verify(t fataler, message []byte, keys Keys) []error {
	t.Helper()
	found, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		for _, k := range keys {
			if k.Name() == name {
				return []string{k.Record()}, nil
			}
		}
		return nil, fmt.Errorf("no record %s", name)
	}})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	errs := make([]error, len(found))
	for i, v := range found {
		errs[i] = v.Err
	}
	return errs
}

// fataler is a test of testing or of rapid.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

const message = "From: Example Status <status@example.net>\r\nTo: <ann@example.org>\r\nSubject: =?UTF-8?B?w4l0w6k=?=\r\n  and more\r\n" +
	"Date: Thu, 26 Nov 2026 03:14:07 +0000\r\nMessage-ID: <a.1@example.net>\r\nList-Unsubscribe: <https://example.net/u/1>\r\n" +
	"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nContent-Type: text/plain\r\n\r\nHello \t Ann  \r\n\r\n.dot\r\n\r\n\r\n"

var at = time.Date(2026, 11, 26, 3, 14, 7, 0, time.UTC)

func TestASignedMailVerifies(t *testing.T) {
	t.Parallel()
	keys := keys(t)
	out, err := keys.Sign([]byte(message), at)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(out, []byte(message)) {
		t.Error("the message was changed")
	}
	if errs := verify(t, out, keys); len(errs) != 2 || errs[0] != nil || errs[1] != nil {
		t.Errorf("the signatures: %v", errs)
	}
	head, _, _ := bytes.Cut(out, []byte("\r\n\r\n"))
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 100 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
	for _, want := range []string{"t=1795662847;", "from:from:", "list-unsubscribe-post", "c=relaxed/relaxed"} {
		if !strings.Contains(strings.NewReplacer("\r\n\t ", "", "\r\n\t", "").Replace(string(head)), want) {
			t.Errorf("no %s in\n%s", want, head)
		}
	}
	if strings.Contains(string(head), " l=") {
		t.Error("the signature has a length: more could be added to the body")
	}
	again, err := keys.Sign([]byte(message), at)
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("the same mail was signed otherwise the second time: %v", err)
	}
}

func TestAChangedMailDoesNotVerify(t *testing.T) {
	t.Parallel()
	keys := keys(t)
	out, err := keys.Sign([]byte(message), at)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"body":          {"Hello", "Hullo"},
		"a longer body": {".dot\r\n", ".dot\r\nmore\r\n"},
		"subject":       {"and more", "and less"},
		"unsubscribe":   {"/u/1>", "/u/2>"},
		"a second From": {"To: <ann@", "From: <eve@example.com>\r\nTo: <ann@"},
		"a second To":   {"Subject: ", "To: <bob@example.org>\r\nSubject: "},
		"an added Cc":   {"Subject: ", "Cc: <bob@example.org>\r\nSubject: "},
	} {
		changed := strings.Replace(string(out), change[0], change[1], 1)
		for i, err := range verify(t, []byte(changed), keys) {
			if err == nil {
				t.Errorf("%s: signature %d still verifies", name, i+1)
			}
		}
	}
	if errs := verify(t, out, Keys{key(t, "rsa", "a2026"), key(t, "ed25519", "b2026")}); errs[0] == nil || errs[1] == nil {
		t.Errorf("other keys verify it: %v", errs)
	}
}

// TestAnyMailVerifies: relays may fold fields anew and change blanks. The relaxed form does not see it, and it is the
// one that verifiers have.
func TestAnyMailVerifies(t *testing.T) {
	t.Parallel()
	keys := keys(t)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.SampledFrom([]string{"a", "bc", " ", "\t", "  ", "\r\n", "\r\n ", "é", ".", "=3D", ":", "\r\n\r\n"}))
		value := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "B ", "\t", "  x", "\r\n y", ":", "é"})).Draw(t, "value"), "")
		body := strings.Join(words.Draw(t, "body"), "")
		raw := "From:  <status@example.net>\r\nSubject:" + value + "z\r\nX-Other: 1\r\nTO : <ann@example.org> \r\nReply-To: a\r\nReply-To: b\r\n\r\n" + body + "\r\n"
		out, err := keys.Sign([]byte(raw), at)
		if err != nil {
			t.Fatalf("sign: %v", err)
		}
		for i, err := range verify(t, out, keys) {
			if err != nil {
				t.Fatalf("signature %d: %v\n%s", i+1, err, out)
			}
		}
	})
}

func TestKeysAreRead(t *testing.T) {
	t.Parallel()
	ed, err := New("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, domain, selector, want string }{
		"no PEM":         {"hello", "example.net", "a", "is not PEM"},
		"a public key":   {"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n", "example.net", "a", "is not a private key"},
		"a bad selector": {string(ed), "example.net", "a b", "selector"},
		"no domain":      {string(ed), "", "a", "not a domain"},
		"a wide domain":  {string(ed), "münchen.example", "a", "not a domain"},
	} {
		if _, err := Read([]byte(c.text), c.domain, c.selector); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := New("dsa"); err == nil {
		t.Error("a key of an unknown kind was made")
	}
	if k := key(t, "ed25519", "a.b-2"); k.Name() != "a.b-2._domainkey.status.example.net" || !strings.HasPrefix(k.Record(), "v=DKIM1; k=ed25519; p=") {
		t.Errorf("the record is %s %s", k.Name(), k.Record())
	}
}

// BenchmarkSign signs a mail of a usual size with each kind of key.
func BenchmarkSign(b *testing.B) {
	raw := []byte(message + strings.Repeat("A line of a notice, as long as most of them are in a mail.\r\n", 120))
	for _, kind := range Kinds {
		keys := Keys{key(b, kind, "a2026")}
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				if _, err := keys.Sign(raw, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
