package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// testMark stands before the subject of a test mail, the same in each language, so that a filter can find it.
const testMark = "[Test] "

// Test sends one mail per language of a body to an address. Each is as the first recipient of that language would get
// it, or the first of any, where none wants that language. It is no delivery, and goes out each time; the ledger keeps
// the operator's name and the domain of the address. It returns the relay's answer per language.
func (d *Desk) Test(ctx context.Context, b notice.Body, to, who string) (map[string]notice.Answer, error) {
	if d.Sender == nil || d.From == "" {
		return nil, notice.Conflict("this server has no relay: set TOCSIN_SMTP_URL and TOCSIN_FROM for `tocsin serve` too")
	}
	b, err := d.normal(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := unambiguous(b, d.Zone); err != nil {
		return nil, err
	}
	address, err := audience.ParseAddress(to)
	if err != nil {
		return nil, notice.Invalid("to", "%v", err)
	}
	senders, err := d.senders(ctx)
	if err != nil {
		return nil, err
	}
	if !senders.OnlyTo.Matches(address.Key()) {
		return nil, notice.Invalid("to", "is left out by the setting only_to: mails go to %s", senders.OnlyTo)
	}
	p, err := d.prepare(ctx, b, unkept)
	if err != nil {
		return nil, err
	}
	readers, err := d.readers(ctx, p)
	if err != nil {
		return nil, err
	}
	answers, err := d.sendTests(ctx, p, readers, address, senders.OnlyTo.Mark()+testMark)
	if len(answers) > 0 {
		// The mails are out, though nobody may wait for the answer any more.
		keeping, kept := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer kept()
		err = errors.Join(err, d.Ledger.RecordTest(keeping, b.Key, who, testInWords(answers, address.Domain)))
	}
	return answers, err
}

// recordTimeout bounds how long a test waits for the ledger to keep it.
const recordTimeout = 10 * time.Second

// testInWords gives the domain and the outcomes of test mails: "2 mails to example.net: de sent, en never".
func testInWords(answers map[string]notice.Answer, domain string) string {
	var each []string
	for _, language := range slices.Sorted(maps.Keys(answers)) {
		each = append(each, language+" "+answers[language].Outcome.String())
	}
	return fmt.Sprintf("%d mails to %s: %s", len(each), domain, strings.Join(each, ", "))
}

// sendTests sends the mails of a test, as far as it comes.
func (d *Desk) sendTests(ctx context.Context, p prepared, readers map[string]notice.Recipient, address audience.Address, mark string) (map[string]notice.Answer, error) {
	sender, err := mail.ParseAddress(d.From)
	if err != nil {
		return nil, fmt.Errorf("read TOCSIN_FROM: %w", err)
	}
	answers := map[string]notice.Answer{}
	for text := range p.texts {
		r, ok := readers[text]
		if !ok {
			r = readers[""]
		}
		r.Address = address.Wire()
		for i, program := range p.programs() {
			name := text + []string{"", ", correction"}[i]
			stamp := d.stamp("test", p.body, mark)
			raw, err := program.Render(nil, r, text, stamp)
			if err == nil && d.Sign != nil {
				raw, err = d.Sign(raw, stamp.Date)
			}
			if err != nil {
				return answers, err
			}
			if answers[name], err = d.Sender.Send(ctx, notice.Mail{From: sender.Address, To: address.Wire(), Raw: raw}, granted{}); err != nil {
				delete(answers, name)
				return answers, fmt.Errorf("send the test mail in %s: %w", name, err)
			}
		}
	}
	return answers, nil
}

// stamp is that of a mail outside the ledger. Its Message-ID begins with name and is new each time; mark stands before its
// subject.
func (d *Desk) stamp(name string, b notice.Body, mark string) render.Stamp {
	return render.Stamp{
		MessageID: "<" + name + "." + rand.Text() + "@" + d.domain() + ">",
		NoticeKey: b.Key, Mark: mark, Date: time.Now(),
	}
}

// readers returns the first recipient of each language of a body, and under "" the first of all.
func (d *Desk) readers(ctx context.Context, p prepared) (map[string]notice.Recipient, error) {
	readers := map[string]notice.Recipient{}
	a := p.audience(p.inspect(nil))
	a.Each = func(r notice.Recipient, text string) error {
		for _, t := range []string{text, ""} {
			if _, ok := readers[t]; !ok {
				readers[t] = r
			}
		}
		return nil
	}
	if _, err := d.Ledger.Plan(ctx, a); err != nil {
		return nil, err
	}
	if len(readers) == 0 {
		return nil, notice.Invalid("audience", "nobody who could be mailed matches it: there is no one to make the test mail for")
	}
	return readers, nil
}

// granted is the permit for a mail that no ledger counts.
type granted struct{}

func (granted) Ask() {}
func (granted) Wait(context.Context) (time.Time, error) {
	return time.Now().Add(20 * time.Second), nil
}
