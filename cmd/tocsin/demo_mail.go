package main

import (
	"fmt"
	"mime"
	"net/mail"
	"strings"

	"tocsin/internal/render"
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
	read, err := render.Open([]byte(m.Raw))
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
	for line := range strings.Lines(strings.TrimRight(read.Text, "\n")) {
		s.line("%s", strings.TrimRight("  "+shown(strings.TrimRight(line, "\n")), " "))
	}
	return nil
}
