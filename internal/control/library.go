package control

import "tocsin/internal/notice"

// Library lists the ready texts as they are now. Files that don't work are told of elsewhere.
func (d *Desk) Library() notice.Library {
	set, _ := d.Set.Current()
	return set.Library()
}

// Example is a mail of a ready text, for a customer who does not exist.
func (d *Desk) Example(template, phase, language string) (notice.Sample, error) {
	set, _ := d.Set.Current()
	m, err := set.Example(template, phase, language)
	return notice.Sample{Language: language, Subject: m.Subject, Text: m.Text, HTML: m.HTML}, err
}
