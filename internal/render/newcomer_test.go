package render

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// TestANewcomerReadsAnAnnouncement where others read that a maintenance was moved. Nothing is left of the windows that
// it had: in the subject, the text, the line at the top, the list of earlier notices and the calendar.
func TestANewcomerReadsAnAnnouncement(t *testing.T) {
	t.Parallel()
	b := maintained()
	b.Key, b.Template, b.Texts, b.Parameters = "m.rescheduled", "maintenance", nil, map[string]notice.Parameter{"component": {Text: "mail"}}
	b.Windows, b.Was, b.Phase = b.Windows[:1], []notice.Window{{Start: "2026-12-03T03:33", End: "2026-12-03T04:44"}, {Start: "2026-12-04T03:33", End: "2026-12-04T04:44"}}, notice.PhaseRescheduled
	p := compile(t, b)
	pins := NewPins(p, nil)
	source := func(p *Program, newcomer bool) (subject, text, raw string, number int) {
		r := maintainedFor("Europe/Berlin")
		r.Newcomer = newcomer
		m, err := p.Preview(r, "en")
		if err != nil {
			t.Fatal(err)
		}
		whole, err := p.Render(nil, r, "en", stamp())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(r, "en"); err != nil {
			t.Error(err)
		}
		return m.Subject, m.Text, string(whole), pins.Number(r, "en")
	}
	subject, text, raw, moved := source(p, false)
	if !strings.HasPrefix(subject, "[Moved] ") || !strings.Contains(text, "3:33") || !strings.Contains(raw, "STATUS:CANCELLED") {
		t.Errorf("those who know the old windows read %q:\n%s", subject, text)
	}
	subject, text, raw, plain := source(p, true)
	for _, old := range []string{"oved", "3:33", "CANCELLED", "no longer"} {
		if strings.Contains(subject+text, old) || old == "CANCELLED" && strings.Contains(raw, old) {
			t.Errorf("a newcomer reads %q in %q:\n%s", old, subject, text)
		}
	}
	if plain == moved || plain == 0 {
		t.Errorf("the mails have the numbers %d and %d", moved, plain)
	}
	b.Phase, b.Was = notice.PhaseScheduled, nil
	if s, announced, _, _ := source(compile(t, b), false); s != subject || announced != text {
		t.Errorf("an announcement is\n%s\n%s\nand a newcomer reads\n%s\n%s", s, announced, subject, text)
	}
	b.Phase = "in-progress"
	if s, text, _, _ := source(compile(t, b), true); !strings.Contains(s+text, "n progress") {
		t.Errorf("a phase of its own is another one for newcomers: %s\n%s", s, text)
	}
}

// TestACorrectionCancelsEventsOfANewcomerToo: the text that it corrects told newcomers of windows that are dropped now.
// The plain text of the same amendment is for newcomers who were told of none.
func TestACorrectionCancelsEventsOfANewcomerToo(t *testing.T) {
	t.Parallel()
	amended := maintained() // the newcomer got it
	for left, want := range map[int]string{1: "CONFIRMED CONFIRMED CANCELLED CANCELLED", 0: "CANCELLED CANCELLED CANCELLED CANCELLED"} {
		b := maintained()
		b.Key, b.Amends, b.Windows, b.Was = "m.amended", "m.rescheduled", amended.Windows[:left], amended.Windows
		b.Corrections = b.Texts
		for _, corrects := range []bool{true, false} {
			src := SourceOf(b, b.Texts, nil, Settings{From: "Example Status <status@example.net>"})
			if corrects {
				src = CorrectionOf(b, nil, Settings{From: "Example Status <status@example.net>"})
			}
			p, err := builtin().Compile(src)
			if err != nil {
				t.Fatal(err)
			}
			r := maintainedFor("Europe/Berlin")
			r.Newcomer = true
			m, err := render(p, r, "en", stamp())
			if err != nil {
				t.Fatal(err)
			}
			if !corrects {
				if strings.Contains(m.Calendar, "CANCELLED") || (m.Calendar != "") != (left > 0) {
					t.Errorf("%d left: the plain text has the calendar\n%s", left, m.Calendar)
				}
				continue
			}
			var states []string
			for _, e := range asMachinesRead(t, m.Raw).Events {
				states = append(states, e["STATUS"].(string))
			}
			if got := strings.Join(states, " "); got != want {
				t.Errorf("%d left: the events of the correction are %s, want %s", left, got, want)
			}
		}
	}
}
