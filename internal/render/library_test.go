package render

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// TestEveryReadyTextHasAnExample in each of its languages: the library names none that can't be shown.
func TestEveryReadyTextHasAnExample(t *testing.T) {
	t.Parallel()
	set := New(templates.FS, nil)
	l := set.Library()
	if len(l.Templates) < 3 || len(l.Languages) < 30 {
		t.Fatalf("%+v", l)
	}
	for _, template := range l.Templates {
		if len(template.Phases) == 0 {
			t.Errorf("%s has no phase", template.Name)
		}
		for i, phase := range template.Phases {
			for j, lang := range l.Languages {
				if (i+j)%7 > 0 && lang.Tag != "en" { // a mail takes its time
					continue
				}
				m, err := set.Example(template.Name, phase, lang.Tag)
				if err != nil || m.Subject == "" || !strings.Contains(m.HTML, "<html") {
					t.Errorf("%s, %s, %s: %q, %v", template.Name, phase, lang.Tag, m.Subject, err)
				}
			}
		}
	}
	for _, none := range [][3]string{{"none", "identified", "en"}, {"outage", "none", "en"}, {"outage", "identified", "xx"}, {"outage", "identified", "?"}} {
		if _, err := set.Example(none[0], none[1], none[2]); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%q: %v", none, err)
		}
	}
}
