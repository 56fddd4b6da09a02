package control

import (
	"cmp"
	"context"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// prepared is a body that can be released.
type prepared struct {
	body    notice.Body
	texts   map[string]notice.Text
	choice  ledger.Choice
	broken  ledger.Broken
	program *render.Program
	// correction is that of the texts for readers who may have got an earlier version; nil: the notice is no amendment.
	correction *render.Program
	amends     ledger.Notice // that it stops
	pins       ledger.Pins   // nil: this process does not know the sender, and the workers compile the mails
	earlier    []notice.Earlier
	zone       string // of times that name none
	remind     reminders
	begun      []notice.Step // of its incident
}

// compile makes the program of a body's texts. The texts are resolved already, and so are the earlier notices of its
// incident.
func (d *Desk) compile(b notice.Body, texts map[string]notice.Text, earlier []notice.Earlier) (p prepared, err error) {
	p = prepared{body: b, texts: texts, earlier: earlier, zone: cmp.Or(b.Zone, d.Zone)}
	settings := render.Settings{From: d.from(), ReplyTo: d.ReplyTo, Zone: d.Zone, PublicURL: d.PublicURL}
	set, _ := d.Set.Current() // a new notice was refused already; one that is kept can still be sent
	if p.program, err = set.Compile(render.SourceOf(b, texts, earlier, settings)); err != nil {
		return p, err
	}
	if b.Amends != "" {
		if p.correction, err = set.Compile(render.CorrectionOf(b, earlier, settings)); err != nil {
			return p, err
		}
	}
	if d.From != "" {
		p.pins = render.NewPins(p.program, p.correction)
	}
	return p, nil
}

// prepare checks a normal body. kept is the draft that it stands in, with the texts that were frozen with it; or unkept,
// for a new body: its texts are resolved now.
func (d *Desk) prepare(ctx context.Context, b notice.Body, kept ledger.Notice) (p prepared, err error) {
	texts := kept.Texts
	if texts == nil {
		if texts, err = d.texts(b); err != nil {
			return p, err
		}
	}
	earlier, err := d.earlier(ctx, b)
	if err != nil {
		return p, err
	}
	if p, err = d.compile(b, texts, earlier); err != nil {
		return p, err
	}
	if kept.Texts == nil {
		if err := d.checkTexts(ctx, p); err != nil {
			return p, err
		}
	}
	if b.Amends != "" {
		p.amends, err = d.amended(ctx, b)
		p.choice.Notice = p.amends.ID
		return p, err
	}
	if p.choice, err = d.choose(ctx, b.Audience, kept); err != nil {
		return p, err
	}
	if p.remind, err = d.remind(b, p.zone); err != nil {
		return p, err
	}
	if p.begun, err = d.Ledger.Begun(ctx, b.Incident, b.Key); err != nil {
		return p, err
	}
	p.broken, err = d.broken(ctx, b, kept)
	return p, err
}

// unkept stands for the draft of a body that is new.
var unkept = ledger.Notice{FilterRules: notice.FilterPatterns}

// from is the sender for texts that are only looked at, where none is configured.
func (d *Desk) from() string {
	if d.From == "" {
		return "status@tocsin.invalid"
	}
	return d.From
}

// audience returns the audience of a body; look sees each of its recipients.
func (p prepared) audience(look *inspection) ledger.Audience {
	return ledger.Audience{
		Body: p.body, Choice: p.choice, FilterText: audience.Format(p.choice.Filter), Broken: p.broken,
		DefaultLanguage: p.body.DefaultLanguage, Match: p.program.Match, Each: look.see, Also: look.seeToo, Suppressed: look.pass, Judge: look.judge, Pins: p.pins, Earlier: p.earlier,
		Amends: p.amends.ID,
	}
}
