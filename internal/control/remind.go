package control

import (
	"maps"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// reminders are those that a notice asks for: as they are shown, and the notices that its release makes of them.
type reminders struct {
	all    []notice.Reminder
	drafts []ledger.Draft
}

// remind returns the reminders of a normal body, with texts that work. zone is that of its windows without one. Which of them
// still have a time the ledger says, on its clock.
func (d *Desk) remind(b notice.Body, zone string) (r reminders, err error) {
	if r.all = b.Reminders(zone); len(r.all) == 0 {
		return r, nil
	}
	var texts map[string]notice.Text
	set, _ := d.Set.Current() // as compile does
	for i, one := range r.all {
		body := b.Reminding(one)
		body.Texts = remindingTexts(set, b.Texts)
		if i == 0 { // all of them say the same
			if texts, err = set.Texts(body); err == nil {
				_, err = d.compile(body, texts, nil)
			}
			if err != nil {
				return r, notice.Invalid("remind", "its reminders can't be made: %v", err)
			}
		}
		r.drafts = append(r.drafts, ledger.Draft{Body: body.Kept(), Texts: texts})
	}
	return r, nil
}

// remindingTexts returns the texts of a notice's own as its reminders have them: the same, with the word for a reminder before the
// subject. A ready text says that itself.
func remindingTexts(set *render.Set, own map[string]notice.Text) map[string]notice.Text {
	texts := maps.Clone(own)
	for key, text := range texts {
		if word := set.PhaseWord(key, notice.PhaseReminder); word != "" {
			text.Subject = "[" + word + "] " + text.Subject
		}
		texts[key] = text
	}
	return texts
}
