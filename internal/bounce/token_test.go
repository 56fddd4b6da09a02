package bounce

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var testKeys = Keys{[]byte("a key of the tests, one"), []byte("a key of the tests, two")}

// attempts draws attempts, the largest ones too.
func attempts(t *rapid.T) Attempt {
	return Attempt{
		Notice: rapid.Int64Range(0, math.MaxInt64).Draw(t, "notice"),
		Seq:    rapid.IntRange(0, math.MaxInt).Draw(t, "seq"),
		Epoch:  rapid.Int64Range(0, math.MaxInt64).Draw(t, "epoch"),
	}
}

func TestATokenNamesItsAttempt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := attempts(t)
		token := testKeys.Token(want)
		if local := TokenPrefix + token; len(local) > 64 {
			t.Fatalf("the local part %s has %d octets, and 64 is the most", local, len(local))
		}
		for _, form := range []string{token, strings.ToUpper(token)} {
			if got, err := testKeys.Attempt(form); err != nil || got != want {
				t.Fatalf("Attempt(%q) = %+v, %v; want %+v", form, got, err, want)
			}
		}
		if _, err := (Keys{[]byte("a key of somebody else")}).Attempt(token); err == nil {
			t.Fatal("a token of other keys was taken")
		}
		if got, err := (Keys{[]byte("the next key"), testKeys[0]}).Attempt(token); err != nil || got != want {
			t.Fatalf("after the key was replaced: %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestAChangedTokenIsRefused(t *testing.T) {
	t.Parallel()
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	rapid.Check(t, func(t *rapid.T) {
		token := []byte(testKeys.Token(attempts(t)))
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		switch rapid.IntRange(0, 2).Draw(t, "change") {
		case 0:
			was := token[at]
			token[at] = alphabet[rapid.IntRange(0, len(alphabet)-1).Draw(t, "letter")]
			if token[at] == was {
				return
			}
		case 1:
			token = append(token[:at], token[at+1:]...)
		case 2:
			token = append(token, alphabet[rapid.IntRange(0, len(alphabet)-1).Draw(t, "letter")])
		}
		if got, err := testKeys.Attempt(string(token)); err == nil {
			t.Fatalf("the changed token %s was taken for %+v", token, got)
		}
	})
}

func TestATokenIsFoundInAnAddress(t *testing.T) {
	t.Parallel()
	want := Attempt{Notice: 12, Seq: 199_999, Epoch: 1_796_000_000_000_000}
	token := testKeys.Token(want)
	for _, address := range []string{
		"bounces+" + token + "@status.example.net",
		"BOUNCES+" + strings.ToUpper(token) + "@STATUS.EXAMPLE.NET",
		"SRS0=aB3d=7K=status.example.net=bounces+" + token + "@forwarder.example",
		"prvs=0123456789=bounces-" + token + "@status.example.net",
	} {
		got, ok := testKeys.Find([]string{"support@example.net", address})
		if !ok || got != want {
			t.Errorf("Find(%s) = %+v, %t; want %+v", address, got, ok, want)
		}
	}
	forged := (Keys{[]byte("a key of somebody else")}).Token(want)
	if got, ok := testKeys.Find([]string{"bounces+" + forged + "@status.example.net", "", "bounces+@x", token[:10]}); ok {
		t.Errorf("a forged token was taken for %+v", got)
	}
}

// TestATokenOfOneKindIsNoneOfTheOther: who reads a bounce can't choose for its reader, and a reader can't bounce their mail.
func TestATokenOfOneKindIsNoneOfTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := attempts(t)
		seq := int(int32(a.Seq & math.MaxInt32))
		token := testKeys.ReaderToken(a.Notice, seq, "abc")
		if id, got, err := ReaderOf(strings.ToUpper(token)); id != a.Notice || got != seq || err != nil {
			t.Fatalf("ReaderOf(%s) = %d, %d, %v; want %d, %d", token, id, got, err, a.Notice, seq)
		}
		next := Keys{[]byte("the next key"), testKeys[0]}
		if !testKeys.Admits(token, a.Notice, seq, "abc") || !next.Admits(strings.ToUpper(token), a.Notice, seq, "abc") {
			t.Fatalf("%s does not admit its reader", token)
		}
		if testKeys.Admits(token, a.Notice, seq, "abd") || testKeys[1:].Admits(token, a.Notice, seq, "abc") {
			t.Fatalf("%s admits the reader of another notice with that number, or is known by another key", token)
		}
		if got, err := testKeys.Attempt(token); err == nil {
			t.Fatalf("a reader's token was taken for %+v", got)
		}
		if id, seq, err := ReaderOf(testKeys.Token(a)); err == nil && testKeys.Admits(testKeys.Token(a), id, seq, "") {
			t.Fatalf("the token of %+v was taken for that of the reader of %d, %d", a, id, seq)
		}
		changed := []byte(token)
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		if changed[at] = "abcdefghijklmnopqrstuvwxyz234567"[rapid.IntRange(0, 31).Draw(t, "letter")]; string(changed) == token {
			return
		}
		if id, seq, err := ReaderOf(string(changed)); err == nil && testKeys.Admits(string(changed), id, seq, "abc") {
			t.Fatalf("the changed token %s was taken for that of the reader of %d, %d", changed, id, seq)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(testKeys.Token(Attempt{Notice: 1, Seq: 2, Epoch: 3}))
	f.Add(testKeys.Token(Attempt{Notice: math.MaxInt64, Seq: math.MaxInt, Epoch: math.MaxInt64}))
	f.Add("bounces+\nABC=@x")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := testKeys.Attempt(text)
		if err != nil {
			return
		}
		if a.Notice < 0 || a.Seq < 0 || a.Epoch < 0 {
			t.Fatalf("%q is taken for %+v", text, a)
		}
		own, other := testKeys.Token(a), (Keys{testKeys[1]}).Token(a)
		if !strings.EqualFold(text, own) && !strings.EqualFold(text, other) {
			t.Fatalf("%q is taken for %+v, whose tokens are %s and %s", text, a, own, other)
		}
	})
}
