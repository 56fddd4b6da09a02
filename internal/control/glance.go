package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// glanceTimeout bounds a look at a notice that is being written.
const glanceTimeout = 3 * time.Second

// aimed is the choice of a body that is being written: everybody, where it says nobody yet.
func (d *Desk) aimed(ctx context.Context, b notice.Body) (c ledger.Choice, err error) {
	a, err := normalAudience(b.Key, b.Audience)
	if err != nil {
		return c, err
	}
	return d.choose(ctx, a, unkept)
}

// Sample is a mail of a body while it is written: as a customer would read it, or one of its audience. It looks at no other mail.
func (d *Desk) Sample(ctx context.Context, b notice.Body, s notice.Sampling) (m notice.Sample, err error) {
	ctx, done := context.WithTimeout(ctx, glanceTimeout)
	defer done()
	p, err := d.glance(ctx, b)
	if err != nil {
		return m, err
	}
	choice, err := d.aimed(ctx, b)
	if err != nil {
		choice = ledger.Choice{} // its fault stands at the audience; the texts are shown for anybody
	}
	c, err := d.sampled(ctx, choice, s)
	if err != nil {
		return m, err
	}
	text := s.Language
	if _, there := p.texts[text]; !there {
		wanted := text
		if wanted == "" {
			wanted = c.Language
		}
		text, _ = p.program.Match(wanted)
	}
	r := notice.Recipient{Address: c.Email, Language: c.Language, TimeZone: c.TimeZone, Customers: []notice.Frozen{{ID: c.ID, Name: c.Name, Attributes: c.Attributes}}}
	if err := p.program.Check(r, text); err != nil {
		return m, err
	}
	shown, err := p.program.Preview(r, text)
	return notice.Sample{Language: text, Customer: c.ID, Subject: shown.Subject, Text: shown.Text, HTML: shown.HTML}, err
}

// glance makes the texts of a body that may not say its audience yet.
func (d *Desk) glance(ctx context.Context, b notice.Body) (p prepared, err error) {
	if b, err = d.normal(ctx, b); err != nil {
		return p, err
	}
	texts, err := d.texts(b)
	if err != nil {
		return p, err
	}
	earlier, err := d.earlier(ctx, b)
	if err != nil {
		return p, err
	}
	return d.compile(b, texts, earlier)
}

// sampled is the customer that a sample is made for. Where nobody of the audience reads its language, anybody does.
func (d *Desk) sampled(ctx context.Context, choice ledger.Choice, s notice.Sampling) (c notice.Customer, err error) {
	if named := strings.TrimSpace(s.Customer); named != "" {
		if c, err = d.Ledger.Customer(ctx, named); notice.CodeOf(err) != notice.CodeNotFound {
			return c, err
		}
		if a, bad := audience.ParseAddress(named); bad == nil {
			all, failed := d.Ledger.Customers(ctx, notice.CustomerPage{Limit: 1, AddressKey: a.Key()})
			if failed != nil || len(all) > 0 {
				return append(all, c)[0], failed
			}
		}
		return c, err
	}
	for _, language := range []string{s.Language, ""} {
		for _, skip := range slices.Compact([]int{s.Skip, 0}) {
			if c, err = d.Ledger.Someone(ctx, choice, language, skip); notice.CodeOf(err) != notice.CodeNotFound {
				return c, err
			}
		}
	}
	return c, err
}
