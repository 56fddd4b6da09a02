package bounce

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/japanese"
)

// decode returns text in UTF-8. charset is the one that the mail names, by any name of the Encoding Standard. A
// charset that is unknown, or can't be right, is guessed.
func decode(raw []byte, charset string) string {
	if isASCII(raw) {
		if bytes.Contains(raw, []byte("\x1b$")) {
			return decodeAs(japanese.ISO2022JP, raw)
		}
		return string(raw)
	}
	if named, err := htmlindex.Get(strings.TrimSpace(charset)); err == nil && !utf8.Valid(raw) {
		if text := decodeAs(named, raw); strings.Count(text, "\ufffd") <= utf8.RuneCountInString(text)/20 {
			return text
		}
	}
	if !utf8.Valid(raw) {
		guess := chardet.Detect(cut(raw, 4096))
		if guessed, err := htmlindex.Get(guess.Encoding); err == nil {
			return decodeAs(guessed, raw)
		}
	}
	return strings.ToValidUTF8(string(raw), "\ufffd")
}

// decodeAs decodes, with replacement characters for broken text.
func decodeAs(e encoding.Encoding, raw []byte) string {
	text, err := e.NewDecoder().Bytes(raw)
	if err != nil {
		return strings.ToValidUTF8(string(raw), "\ufffd")
	}
	return string(text)
}

func isASCII(raw []byte) bool {
	for _, c := range raw {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// plain returns the text of HTML, each block on a line of its own.
func plain(markup string) string {
	tokens := html.NewTokenizer(strings.NewReader(markup))
	tokens.SetMaxBuf(maxText)
	var out strings.Builder
	hidden := 0
	for out.Len() < maxText {
		switch tokens.Next() {
		case html.ErrorToken:
			return out.String()
		case html.TextToken:
			if hidden == 0 {
				out.WriteString(strings.Join(strings.Fields(string(tokens.Text())), " ") + " ")
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			switch name, _ := tokens.TagName(); atom.Lookup(name) {
			case atom.Style, atom.Script, atom.Title:
				hidden++
			case atom.Br, atom.P, atom.Div, atom.Tr, atom.Td, atom.Li, atom.H1, atom.H2, atom.H3, atom.Table, atom.Pre:
				out.WriteByte('\n')
			}
		case html.EndTagToken:
			switch name, _ := tokens.TagName(); atom.Lookup(name) {
			case atom.Style, atom.Script, atom.Title:
				hidden = max(0, hidden-1)
			case atom.P, atom.Div, atom.Tr, atom.Li, atom.Table, atom.Pre:
				out.WriteByte('\n')
			}
		}
	}
	return out.String()
}
