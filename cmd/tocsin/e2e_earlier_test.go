package main

import (
	"strings"
	"testing"
	"time"

	"tocsin/internal/render"
)

// TestAMailShowsWhatItsReadersWereToldBefore, of the same incident and to the same audience; notice show has the same
// bytes later, when more has been told.
func TestAMailShowsWhatItsReadersWereToldBefore(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customersOf("1,a@a.example", "2,b@b.example")
	s.work()
	window := time.Now().Add(80 * time.Hour).UTC().Truncate(time.Minute)
	s.tells(s.maintenance("scheduled", window, "audience: all"), "m.scheduled")
	s.tells(s.maintenance("in-progress", window, `audience: 'id = "1"'`), "m.in-progress")
	s.tells(s.maintenance("completed", window, "audience: all"), "m.completed")
	for key, want := range map[string]bool{"m.scheduled": false, "m.in-progress": false, "m.completed": true} {
		raw := ""
		for _, m := range s.sink.Mails() {
			if m.RcptTo[0] == "a@a.example" && headerOf(m, "X-Notice") == key {
				raw = m.Raw
			}
		}
		m, err := render.Open([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(m.Text, "Earlier updates\n") && strings.Contains(m.HTML, "Planned maintenance: mail server</strong>"); got != want || strings.Contains(m.HTML, "has begun") && key == "m.completed" {
			t.Errorf("%s shows earlier notices: %v, want %v\n%s", key, got, want, m.Text)
		}
		out, _, _ := s.run("notice", "show", key, "--address", "a@a.example", "--raw")
		if strings.ReplaceAll(out, "\r\n", "\n") != strings.ReplaceAll(raw, "\r\n", "\n") {
			t.Errorf("%s is shown as\n%s\nand was\n%s", key, out, raw)
		}
	}
}
