package audience

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	textunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"tocsin/internal/notice"
)

// window is how much of a file is looked at to recognise its encoding, and the size of the buffers.
const window = 64 << 10

// The names of the encodings that are recognised.
const (
	utf8Name    = "utf-8"
	utf16LE     = "utf-16le"
	utf16BE     = "utf-16be"
	windows1252 = "windows-1252"
)

// decoder reads a file as UTF-8. UTF-16 is recognised at the beginning, by its mark or by its zero bytes. All other
// encodings agree on ASCII, so the decision falls at the first byte beyond it. Broken UTF-8 comes out as it went in.
type decoder struct {
	from *bufio.Reader
	text io.Reader // nil while undecided: all was ASCII so far
	name string    // "" while undecided
}

// newDecoder returns a decoder of r. name is the encoding if it is known, by any of its names in the Encoding Standard
// (https://encoding.spec.whatwg.org), else "". A byte order mark wins. The error is a *notice.Error where the name is
// none, or the file is no text.
func newDecoder(r io.Reader, name string) (*decoder, error) {
	d := &decoder{from: bufio.NewReaderSize(r, window)}
	begin, err := d.from.Peek(4096)
	if err != nil && len(begin) == 0 && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	if reason := foreign(begin); reason != "" {
		return nil, notice.Invalid("file", "%s", reason)
	}
	if mark, size := byteOrderMark(begin); mark != "" {
		_, _ = d.from.Discard(size)
		return d, d.decide(mark)
	}
	if name != "" {
		return d, d.decide(name)
	}
	if wide := wideText(begin); wide != "" {
		return d, d.decide(wide)
	}
	return d, nil
}

// decide fixes the encoding.
func (d *decoder) decide(name string) error {
	name = strings.ToLower(strings.TrimSpace(name))
	var enc encoding.Encoding
	switch name {
	case utf8Name, "utf8", "us-ascii", "ascii":
		d.name, d.text = utf8Name, d.from
		return nil
	case "utf-16", utf16LE:
		d.name, enc = utf16LE, textunicode.UTF16(textunicode.LittleEndian, textunicode.IgnoreBOM)
	case utf16BE:
		d.name, enc = utf16BE, textunicode.UTF16(textunicode.BigEndian, textunicode.IgnoreBOM)
	default:
		known, err := htmlindex.Get(name)
		if err != nil || known == encoding.Replacement {
			return notice.Invalid("encoding", "is no encoding that can be read; some are utf-8, utf-16le, windows-1252, windows-1250, iso-8859-2, shift_jis")
		}
		enc = known
		d.name, _ = htmlindex.Name(known)
	}
	d.text = transform.NewReader(d.from, enc.NewDecoder())
	return nil
}

// Read hands out ASCII until it has to decide.
func (d *decoder) Read(p []byte) (int, error) {
	if d.text != nil {
		return d.text.Read(p)
	}
	if _, err := d.from.Peek(1); err != nil {
		return 0, err
	}
	b, _ := d.from.Peek(min(d.from.Buffered(), len(p)))
	n := bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf })
	if n < 0 {
		n = len(b)
	}
	if n > 0 {
		copy(p, b[:n])
		return d.from.Discard(n)
	}
	sample, _ := d.from.Peek(window) // an error comes again once the sample was read
	name, err := recognise(sample)
	if err == nil {
		err = d.decide(name)
	}
	if err != nil {
		return 0, err
	}
	return d.text.Read(p)
}

// encoding is the name of the encoding that was found, utf-8 for text that is ASCII so far.
func (d *decoder) encoding() string {
	if d.name == "" {
		return utf8Name
	}
	return d.name
}

func byteOrderMark(b []byte) (name string, size int) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return utf8Name, 3
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return utf16LE, 2
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return utf16BE, 2
	}
	return "", 0
}

// wideText recognises UTF-16 without a mark: every second byte of text that is mostly Latin is zero.
func wideText(b []byte) string {
	var zeros [2]int
	for i, c := range b {
		if c == 0 {
			zeros[i%2]++
		}
	}
	half := len(b) / 2
	switch {
	case zeros[1] > half/2 && zeros[0] <= half/20:
		return utf16LE
	case zeros[0] > half/2 && zeros[1] <= half/20:
		return utf16BE
	}
	return ""
}

// recognise names the encoding of a sample that is not all ASCII. A few broken characters in text that is UTF-8
// otherwise leave it UTF-8: their rows are rejected. Only Windows-1252, which holds Latin-1, is taken on a guess:
// names in another encoding that was guessed wrongly would be mailed. The error names that guess.
func recognise(sample []byte) (string, error) {
	whole, broken := countUTF8(sample)
	if whole >= broken {
		return utf8Name, nil
	}
	guess := strings.ToLower(chardet.Detect(sample).Encoding)
	switch guess {
	case "iso-8859-9", "windows-1254":
		// These differ from Windows-1252 in six letters alone, and are often guessed for German.
		if !bytes.ContainsFunc(decode1252(sample), func(r rune) bool { return strings.ContainsRune("ÐÝÞðýþ", r) }) {
			guess = windows1252
		}
	case "iso-8859-1":
		guess = windows1252
	case "macroman":
		guess = "macintosh"
		if noMacText(sample) {
			guess = windows1252
		}
	case "cp932":
		guess = "shift_jis"
	}
	if guess == windows1252 && signsInWords(decode1252(sample)) {
		guess = ""
	}
	if guess == windows1252 && whole*20 > broken {
		return "", notice.Invalid("file", "holds text in UTF-8 and text in another encoding, perhaps from two files that were joined: make it UTF-8 throughout")
	}
	if guess == windows1252 {
		return guess, nil
	}
	if _, err := htmlindex.Get(guess); err != nil {
		guess = "none that is recognised"
	}
	return "", notice.Invalid("file", "is not UTF-8; its encoding looks like %s: give the right one with --encoding (?encoding=), or save the file as UTF-8", guess)
}

// countUTF8 counts the characters beyond ASCII that are whole, and the bytes that belong to none. A character that the
// end of the sample cuts is neither.
func countUTF8(sample []byte) (whole, broken int) {
	for len(sample) > 0 {
		r, size := utf8.DecodeRune(sample)
		switch {
		case r == utf8.RuneError && size == 1 && !utf8.FullRune(sample):
			return whole, broken
		case r == utf8.RuneError && size == 1:
			broken++
		case size > 1:
			whole++
		}
		sample = sample[size:]
	}
	return whole, broken
}

func decode1252(sample []byte) []byte {
	text, err := charmap.Windows1252.NewDecoder().Bytes(sample)
	if err != nil {
		return nil
	}
	return text
}

// noMacText reports whether a sample, read as Mac OS Roman, looks like misread Latin-1: "M¸ller", "AndrÈ".
func noMacText(sample []byte) bool {
	text, err := charmap.Macintosh.NewDecoder().Bytes(sample)
	before := ' '
	for _, r := range string(text) {
		if unicode.IsLower(before) && r > 0x7f && (unicode.IsUpper(r) || strings.ContainsRune("‡·‚„‰ˆ¯˘˙˚¸˝ˇ", r)) {
			return true
		}
		before = r
	}
	return err != nil
}

// signsInWords reports whether signs stand between letters, or bytes that Windows-1252 does not have stand anywhere.
// The letters of Central European encodings look like that in it ("Gra¿yna").
func signsInWords(text []byte) bool {
	var before, sign rune
	for _, r := range string(text) {
		switch {
		case r == utf8.RuneError, r > 0x7f && unicode.IsControl(r):
			return true
		case unicode.IsLetter(r) && sign != 0:
			return true
		}
		sign = 0
		if unicode.IsLetter(before) && strings.ContainsRune("¹³¿¯¼¾¢¥¶£¦¬±", r) {
			sign = r
		}
		before = r
	}
	return false
}
