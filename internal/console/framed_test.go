package console

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"pgregory.net/rapid"
)

func TestAFramedMailLoadsAndRunsNothing(t *testing.T) {
	t.Parallel()
	document, styles := framed(`<!doctype html><html lang="nl"><head><style>p{margin:0}</style><base href="https://evil.example/"><link rel=stylesheet href=//evil.example>` +
		`<script>alert(1)</script></head><body style="margin:0"><p class="a" style="color:red" onclick="x()">Hallo<img src="https://evil.example/x.png"><img src="data:image/png;base64,AA">` +
		`</p><p style="color:red">twee</p><iframe src="x"></iframe></body></html>`)
	for _, bad := range []string{"evil", "script", "onclick", "iframe", "style="} {
		if strings.Contains(document, bad) {
			t.Errorf("%q is in %s", bad, document)
		}
	}
	for _, good := range []string{`<html lang="nl">`, "Hallo", `src="data:image/png;base64,AA"`, "{color:red}", `class="a tocsin-1"`} {
		if !strings.Contains(document, good) {
			t.Errorf("%q is not in %s", good, document)
		}
	}
	if strings.Count(document, "{color:red}") != 1 {
		t.Errorf("a style that stands twice is not one class: %s", document)
	}
	wantHashes(t, document, styles)
}

// wantHashes: each style element is one that the policy lets in.
func wantHashes(t interface{ Errorf(string, ...any) }, document string, styles []string) {
	root, _ := html.Parse(strings.NewReader(document)) // no error: the reader has none
	for n := range root.Descendants() {
		if n.DataAtom != atom.Style {
			continue
		}
		text := ""
		if n.FirstChild != nil {
			text = n.FirstChild.Data
		}
		sum := sha256.Sum256([]byte(text))
		if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !slices.Contains(styles, hash) {
			t.Errorf("%s is not among %v: %s", hash, styles, document)
		}
	}
}

func TestNoTextBreaksOutOfAFrame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"<p style='", "</style>", "<style>", "'>", "a{}", "<script>", "</script>", "<svg onload=x>", "}", "x", "<!--", "\"", "<template>", "<math>"}))
		document, styles := framed(strings.Join(parts.Draw(t, "parts"), ""))
		wantHashes(t, document, styles)
		root, err := html.Parse(strings.NewReader(document))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			if n.DataAtom == atom.Script || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "onload" || a.Key == "style" }) {
				t.Errorf("something runs in %s", document)
			}
		}
	})
}
