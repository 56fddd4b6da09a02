package render

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"

	"tocsin/internal/notice"
)

// Message is a mail as a reader sees it.
type Message struct {
	Subject  string
	Text     string // the text part, lines ended by \n
	HTML     string // the HTML part, lines ended by \n, with its images in it
	Calendar string // the file of events, lines ended by \n; empty where there is none

	images []partImage
}

// Preview renders a message as a reader sees it. Its error is that of Check.
func (p *Program) Preview(r notice.Recipient, text string) (Message, error) {
	r.Address = "preview@tocsin.invalid"
	if err := p.Check(r, text); err != nil {
		return Message{}, err
	}
	raw, err := p.Render(nil, r, text, Stamp{})
	if err != nil {
		return Message{}, err
	}
	return Open(raw)
}

// Open returns a mail that Render made as a reader sees it.
func Open(raw []byte) (m Message, err error) {
	whole, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return m, fmt.Errorf("open a mail: %w", err)
	}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(whole.Header.Get("Subject")); err != nil {
		return m, fmt.Errorf("open a mail's subject: %w", err)
	}
	err = m.read(textproto.MIMEHeader(whole.Header), whole.Body)
	m.embed()
	return m, err
}

// read reads a part of a mail.
func (m *Message) read(header textproto.MIMEHeader, body io.Reader) error {
	contentType, encoding := header.Get("Content-Type"), header.Get("Content-Transfer-Encoding")
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("open a mail: %w", err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("open a mail: %w", err)
			}
			if err := m.read(part.Header, part); err != nil {
				return err
			}
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("open a part of a mail: %w", err)
	}
	if id := header.Get("Content-Id"); strings.HasPrefix(kind, "image/") {
		m.images = append(m.images, partImage{strings.Trim(id, "<>"), kind, content})
		return nil
	}
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	switch kind {
	case "text/plain":
		m.Text = text
	case "text/html":
		m.HTML = text
	case "text/calendar":
		m.Calendar = text
	}
	return nil
}
