package bounce

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"strings"
)

// The bounds of reading. Beyond them nothing is looked at: the part of a bounce that tells anything comes first.
const (
	maxMail       = 2 << 20  // bytes of a mail
	maxDepth      = 8        // multiparts in multiparts
	maxParts      = 64       // of a mail
	maxFields     = 500      // of a header
	maxFieldValue = 8 << 10  // bytes of a field
	maxText       = 64 << 10 // bytes of a part's text
	maxPhrases    = 4 << 10  // bytes that are searched for phrases
)

// part is a MIME entity (RFC 2045). Many of the mails that come back are not well formed: reading never fails, it takes
// the rest for text.
type part struct {
	header header
	kind   string            // media type in lower case, "text/plain" where none is given
	params map[string]string // of Content-Type, names in lower case
	body   []byte            // as it came, still encoded; nil of a multipart
	parts  []*part           // of a multipart
}

// readPart reads an entity. left is how many more parts may be read.
func readPart(raw []byte, depth int, left *int) *part {
	h, body := readHeader(raw)
	p := &part{header: h, body: body}
	p.kind, p.params = mediaType(h.get("Content-Type"))
	if !strings.HasPrefix(p.kind, "multipart/") || depth >= maxDepth {
		return p
	}
	for _, piece := range split(body, p.params["boundary"]) {
		if *left--; *left < 0 {
			break
		}
		p.parts = append(p.parts, readPart(piece, depth+1, left))
	}
	if len(p.parts) > 0 {
		p.body = nil
	}
	return p
}

// split returns the pieces of a multipart. The end of the last one may be missing; blanks around a boundary are let pass.
func split(body []byte, boundary string) [][]byte {
	if boundary == "" {
		return nil
	}
	var pieces [][]byte
	mark := []byte("--" + boundary)
	begin := -1
	for at := 0; at < len(body) && len(pieces) < maxParts; {
		end := len(body)
		if n := bytes.IndexByte(body[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		rest, is := bytes.CutPrefix(bytes.TrimSpace(body[at:end]), mark)
		last := string(rest) == "--"
		if is && (last || len(rest) == 0) {
			if begin >= 0 {
				pieces = append(pieces, body[begin:at])
			}
			begin = end
			if last {
				return pieces
			}
		}
		at = end
	}
	if begin >= 0 {
		pieces = append(pieces, body[begin:])
	}
	return pieces
}

// paramPattern is a parameter of Content-Type; old mailers leave out the semicolon before it.
var paramPattern = regexp.MustCompile(`([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))`)

// mediaType reads a Content-Type leniently: mime.ParseMediaType refuses it for one wrong parameter.
func mediaType(value string) (kind string, params map[string]string) {
	kind, rest, _ := strings.Cut(value, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if !strings.Contains(kind, "/") {
		kind = "text/plain"
	}
	params = map[string]string{}
	for _, m := range paramPattern.FindAllStringSubmatch(rest, 20) {
		params[strings.ToLower(m[1])] = unescape(m[2]) + m[3]
	}
	return kind, params
}

// unescape takes the backslashes from a quoted string (RFC 5322 §3.2.4).
func unescape(quoted string) string {
	if !strings.Contains(quoted, `\`) {
		return quoted
	}
	var out strings.Builder
	for i := 0; i < len(quoted); i++ {
		if quoted[i] == '\\' && i+1 < len(quoted) {
			i++
		}
		out.WriteByte(quoted[i])
	}
	return out.String()
}

// content returns the body without its transfer encoding (RFC 2045 §6). Broken encoding is left as it came.
func (p *part) content() []byte {
	switch strings.ToLower(strings.TrimSpace(p.header.get("Content-Transfer-Encoding"))) {
	case "base64":
		return fromBase64(p.body)
	case "quoted-printable":
		if plain, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(p.body))); err == nil {
			return plain
		}
	}
	return p.body
}

// fromBase64 decodes base64 up to the padding or the first byte that does not belong there.
func fromBase64(body []byte) []byte {
	digits := make([]byte, 0, len(body))
	for _, c := range body {
		if c == '=' || c == '-' {
			break
		}
		if c > ' ' {
			digits = append(digits, c)
		}
	}
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, _ := base64.RawStdEncoding.Decode(plain, digits)
	return plain[:n]
}

// text returns a part's text in UTF-8 with line feeds, without markup.
func (p *part) text() string {
	content := p.content()
	if p.kind == "text/html" {
		return plain(decode(cut(content, 4*maxText), p.params["charset"]))
	}
	text := strings.ReplaceAll(decode(cut(content, maxText), p.params["charset"]), "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n")
}

func cut[T string | []byte](s T, most int) T { return s[:min(len(s), most)] }

// cutText cuts text between two characters.
func cutText(text string, most int) string { return strings.ToValidUTF8(cut(text, most), "") }

// field is a field of a header, its value unfolded.
type field struct{ name, value string }

// header holds fields in their order.
type header []field

// get returns the value of the first field of that name, its encoded words (RFC 2047) decoded; "" if there is none.
func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			return decodeWords(f.value)
		}
	}
	return ""
}

// all returns the values of the fields of that name.
func (h header) all(name string) []string {
	var values []string
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			values = append(values, decodeWords(f.value))
		}
	}
	return values
}

// decodeWords decodes encoded words, and 8-bit text that should have been one.
func decodeWords(value string) string {
	if !strings.Contains(value, "=?") {
		return decode([]byte(value), "")
	}
	words := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		raw, err := io.ReadAll(io.LimitReader(r, maxFieldValue))
		return strings.NewReader(decode(raw, charset)), err
	}}
	if plain, err := words.DecodeHeader(value); err == nil {
		return plain
	}
	return decode([]byte(value), "")
}

// fieldName returns the name of the field that a line holds, and where its value begins; 0 if it holds none. RFC 5322
// lets blanks stand before the colon in old mails.
func fieldName(line []byte) (name string, value int) {
	colon := bytes.IndexByte(cut(line, 200), ':')
	if colon < 1 {
		return "", 0
	}
	before := bytes.TrimRight(line[:colon], " \t")
	for _, c := range before {
		if c <= ' ' || c > '~' {
			return "", 0
		}
	}
	return string(before), colon + 1
}

// readHeader reads the fields at the beginning of raw and returns them and the rest. A line of an mbox ("From …") is
// skipped. A line that is no field ends the header, unless the field before it waits for more. Some mails continue
// Content-Type without a blank.
func readHeader(raw []byte) (h header, rest []byte) {
	for first := true; len(raw) > 0; first = false {
		line, after, _ := bytes.Cut(raw, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(bytes.TrimSpace(line)) == 0 {
			return h, after
		}
		name, begin := fieldName(line)
		folded := line[0] == ' ' || line[0] == '\t'
		last := len(h) - 1
		switch {
		case begin == 0 && first && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))):
		case last >= 0 && (folded || begin == 0 && strings.HasSuffix(h[last].value, ";")):
			if len(h[last].value) < maxFieldValue {
				h[last].value += " " + string(cut(bytes.TrimSpace(line), maxFieldValue))
			}
		case begin == 0:
			return h, raw
		case len(h) < maxFields:
			value := bytes.TrimSpace(line[begin:])
			h = append(h, field{name, string(cut(value, maxFieldValue))})
		}
		raw = after
	}
	return h, nil
}
