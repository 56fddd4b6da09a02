package sink

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// maxDepth is how deep multiparts may be nested; deeper parts are not shown.
const maxDepth = 8

// bodies returns the first HTML and the first plain text of a message, decoded, each "" where there is none. Of a
// message that can't be parsed it returns the part that could be read.
func bodies(raw string) (html, text string) {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return "", ""
	}
	walk(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, maxDepth,
		func(mediaType, body string) {
			switch {
			case mediaType == "text/html" && html == "":
				html = body
			case mediaType == "text/plain" && text == "":
				text = body
			}
		})
	return html, text
}

// walk calls visit for each text in a part.
func walk(contentType, encoding string, body io.Reader, depth int, visit func(mediaType, body string)) {
	if contentType == "" {
		contentType = "text/plain"
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil || depth == 0 {
		return
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		for r := multipart.NewReader(body, params["boundary"]); ; {
			part, err := r.NextRawPart()
			if err != nil {
				return
			}
			walk(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part, depth-1, visit)
		}
	}
	if !strings.HasPrefix(mediaType, "text/") {
		return
	}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	decoded, _ := io.ReadAll(body) // the part that could be decoded is shown
	visit(mediaType, utf8Of(decoded, params["charset"]))
}

// utf8Of makes UTF-8 of text in the charset, of which it knows those that mail has always had.
func utf8Of(b []byte, charset string) string {
	if strings.EqualFold(charset, "iso-8859-1") {
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
