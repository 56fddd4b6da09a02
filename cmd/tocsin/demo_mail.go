package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"

	"tocsin/internal/sink"
)

// showMails prints a mail that several customers share, and one that is read from right to left.
func (s *stage) showMails(acc account) error {
	held := acc.held()
	shared, arabic := sink.Mail{}, sink.Mail{}
	for _, d := range acc.rows {
		m, arrived := held[d.MessageID]
		switch {
		case !arrived:
		case d.Language == "en" && len(d.Customers) > 1 && shared.Raw == "":
			shared = m
		case d.Language == "ar" && len(d.Customers) == 1 && arabic.Raw == "":
			arabic = m
		}
	}
	for _, show := range []struct {
		what string
		mail sink.Mail
	}{
		{"One mail for a mailbox that several customers share", shared},
		{"The same notice in Arabic (the HTML part is set from right to left)", arabic},
	} {
		s.say.step("%s", show.what)
		if err := s.say.mail(show.mail); err != nil {
			return fmt.Errorf("show a mail: %w", err)
		}
	}
	return nil
}

// mail prints a mail as its reader sees the text part of it.
func (s *speaker) mail(m sink.Mail) error {
	message, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		return err
	}
	text, err := textPart(message)
	if err != nil {
		return err
	}
	for _, name := range []string{"From", "To", "Subject", "Content-Language", "X-Notice"} {
		value, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get(name))
		if err != nil {
			return err
		}
		s.line("  %s %s", s.quiet(name+":"), shown(value))
	}
	s.line("")
	for line := range strings.Lines(strings.TrimRight(text, "\r\n")) {
		s.line("%s", strings.TrimRight("  "+shown(strings.TrimRight(line, "\r\n")), " "))
	}
	return nil
}

// textPart is the decoded text/plain part of a multipart message.
func textPart(m *mail.Message) (string, error) {
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextPart() // which decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return "", errors.New("it has no text part")
		}
		if err != nil {
			return "", err
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			continue
		}
		var body io.Reader = part
		if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
			body = base64.NewDecoder(base64.StdEncoding, part)
		}
		text, err := io.ReadAll(body)
		return string(text), err
	}
}
