package render

import (
	"bytes"
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
	Subject string
	Text    string // the text part, lines ended by \n
	HTML    string // the HTML part, lines ended by \n
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
	_, params, err := mime.ParseMediaType(whole.Header.Get("Content-Type"))
	if err != nil {
		return m, fmt.Errorf("open a mail: %w", err)
	}
	parts := multipart.NewReader(whole.Body, params["boundary"])
	for _, into := range []*string{&m.Text, &m.HTML} {
		part, err := parts.NextRawPart()
		if err != nil {
			return m, fmt.Errorf("open a mail: %w", err)
		}
		content, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return m, fmt.Errorf("open a part of a mail: %w", err)
		}
		*into = strings.ReplaceAll(string(content), "\r\n", "\n")
	}
	return m, nil
}
