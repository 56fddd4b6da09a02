package control

import (
	"context"
	"regexp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// Subjects puts the subjects as their readers see them in the place of those of the texts.
func (d *Desk) Subjects(ctx context.Context, entries []notice.HistoryEntry) error {
	if len(entries) == 0 {
		return nil
	}
	type row struct {
		id  int64
		seq int
	}
	at, ids, seqs := map[row]*notice.HistoryEntry{}, []int64{}, []int{}
	for i := range entries {
		e := &entries[i]
		at[row{e.Number, e.Delivery.Seq}] = e
		ids, seqs = append(ids, e.Number), append(seqs, e.Delivery.Seq)
	}
	kept, err := d.Ledger.Kept(ctx, ids, seqs)
	if err != nil {
		return err
	}
	for _, k := range kept {
		e := at[row{k.NoticeID, k.Delivery.Seq}]
		if e.Subject, err = d.subject(ctx, k, e.Subject); err != nil {
			return err
		}
	}
	return nil
}

// action is a part of a text that stands for something else.
var action = regexp.MustCompile(`\{\{.*?\}\}`)

// subject returns the subject of a delivery's mail. Where that can't be made, … stands for each action of the text's.
func (d *Desk) subject(ctx context.Context, k ledger.Kept, text string) (string, error) {
	subject, err := "", error(nil)
	if k.Encoded != nil {
		var m *render.Mail
		if m, err = render.Decode(k.Encoded); err == nil {
			subject, err = m.Subject(k.Due.Recipient)
		}
	} else if action.MatchString(text) || text == "" {
		n, err := d.Ledger.Notice(ctx, k.NoticeID)
		if err != nil {
			return "", err
		}
		if text = n.Texts[k.Due.Text].Subject; k.Due.Corrects {
			text = n.Body.Corrections[k.Due.Text].Subject
		}
		if p, err := d.compile(n.Body, n.Texts, n.Earlier); err == nil {
			if m, err := p.programFor(k.Due.Corrects).Preview(k.Due.Recipient, k.Due.Text); err == nil {
				subject = m.Subject
			}
		}
	}
	if err != nil || subject == "" {
		return action.ReplaceAllString(text, "…"), nil
	}
	if k.Marked {
		subject = notice.OnlyTo{"*"}.Mark() + subject
	}
	return subject, nil
}
