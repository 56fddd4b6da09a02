package control

import (
	"fmt"
	"slices"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// samples are the mails that a dry run shows.
type samples struct {
	asked string              // external id of the customer for one more mail, "" = none
	stamp func() render.Stamp // nil: without the source of the mails
	first *notice.Recipient   // of all to be mailed
	kept  []notice.Sample     // one per language
	// correction says that they are those of an amendment's corrections.
	correction bool
	told       *notice.Asked // nil until the customer has come
}

// asks reports whether a recipient is the customer asked for, or has their mailbox.
func (s *samples) asks(r notice.Recipient) bool {
	return s != nil && s.asked != "" && slices.ContainsFunc(r.Customers, func(c notice.Frozen) bool { return c.ID == s.asked })
}

// tell keeps the answer about the customer asked for, who stands on recipient r.
func (s *samples) tell(r notice.Recipient, a notice.Asked) {
	a.ID = s.asked
	for _, c := range r.Customers {
		a.Customers = append(a.Customers, c.ID)
	}
	s.told = &a
}

// pass sees a recipient that is not to be mailed.
func (i *inspection) pass(r notice.Recipient, reason string) {
	if i.samples.asks(r) {
		i.samples.tell(r, notice.Asked{Reason: reason})
	}
}

// keep keeps the mail of the first recipient of each language, that of the first newcomer, and that of the customer asked for.
func (i *inspection) keep(r notice.Recipient, text string) error {
	s := i.samples
	if s.first == nil {
		s.first = &r
	}
	if !s.has(text, r.Newcomer) {
		m, err := i.sample(r, text)
		if err != nil {
			return err
		}
		s.kept = append(s.kept, m)
	}
	if !s.asks(r) {
		return nil
	}
	if i.leavesOut(r) {
		s.tell(r, notice.Asked{Reason: notice.ReasonOnlyTo})
		return nil
	}
	m, err := i.sample(r, text)
	if err != nil {
		return err
	}
	m.Customer = s.asked
	s.tell(r, notice.Asked{Sample: &m})
	return nil
}

func (s *samples) has(text string, newcomer bool) bool {
	return slices.ContainsFunc(s.kept, func(m notice.Sample) bool { return m.Language == text && m.Newcomer == newcomer })
}

// addUnread adds the mails in those languages that nobody gets, as the first recipient would read them. One that would have
// a hole for that recipient is left out: it goes to nobody.
func (i *inspection) addUnread(texts []string) {
	if i.samples.first == nil {
		return
	}
	variants := []bool{false}
	if slices.ContainsFunc(i.samples.kept, func(m notice.Sample) bool { return m.Newcomer }) {
		variants = append(variants, true)
	}
	r := *i.samples.first
	for _, text := range texts {
		for _, r.Newcomer = range variants {
			if i.samples.has(text, r.Newcomer) {
				continue
			}
			if m, err := i.sample(r, text); err == nil {
				i.samples.kept = append(i.samples.kept, m)
			}
		}
	}
}

func (i *inspection) sample(r notice.Recipient, text string) (s notice.Sample, err error) {
	m, err := i.program.Preview(r, text)
	if err != nil {
		return s, fmt.Errorf("render a sample in %s: %w", text, err)
	}
	s = notice.Sample{Language: text, Correction: i.samples.correction, Newcomer: r.Newcomer, Customer: r.Customers[0].ID, Subject: i.senders.OnlyTo.Mark() + m.Subject, Text: m.Text, HTML: m.HTML}
	if i.samples.stamp == nil {
		return s, nil
	}
	raw, err := i.program.Render(nil, r, text, i.samples.stamp())
	if err != nil {
		return s, fmt.Errorf("render the source of a sample in %s: %w", text, err)
	}
	s.Source = string(raw)
	return s, nil
}
