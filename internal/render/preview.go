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
	"strings"

	"tocsin/internal/notice"
)

// Message is a mail as a reader sees it.
type Message struct {
	Subject  string
	Text     string // the text part, lines ended by \n
	HTML     string // the HTML part, lines ended by \n
	Calendar string // the file of events, lines ended by \n; empty where there is none
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
	return m, m.read(whole.Header.Get("Content-Type"), whole.Header.Get("Content-Transfer-Encoding"), whole.Body)
}

// read reads a part of a mail.
func (m *Message) read(contentType, encoding string, body io.Reader) error {
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
			if err := m.read(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part); err != nil {
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
