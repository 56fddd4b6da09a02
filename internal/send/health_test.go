package send

import (
	"testing"

	"tocsin/internal/notice"
)

func TestARelayThatBreaksOffMailAfterMailRests(t *testing.T) {
	t.Parallel()
	first, second := serve(t, map[string]act{atDATA: {hangUp: true}}), serve(t, nil)
	a, b := first.relay(), second.relay()
	a.Name, b.Name = "one", "two"
	p := pool(t, usual, a, b)
	for n := 1; ; n++ {
		answer, err := p.Send(t.Context(), mail, &permit{})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Relay == "two" {
			if n != lostInARow+1 || answer.Outcome != notice.OutcomeSent {
				t.Errorf("mail %d went to the second relay, and was %s", n, answer.Outcome)
			}
			break
		}
		if !answer.NoDot || answer.Outcome != notice.OutcomeLater {
			t.Errorf("mail %d: %+v", n, answer)
		}
	}
	if h := p.Health(); h[0].State != "resting" || h[0].Error == "" || h[1].State != "up" || p.Next() != "two" {
		t.Errorf("health %+v, next %s", h, p.Next())
	}
	// It is probed, and comes back once it answers.
	first.mu.Lock()
	first.script = nil
	first.mu.Unlock()
	for mustSend(t, p).Relay != "one" {
		if t.Context().Err() != nil {
			t.Fatal("the first relay never came back")
		}
	}
	if h := p.Health(); h[0].State != "up" || h[0].Error != "" || p.Next() != "one" {
		t.Errorf("health %+v, next %s", h, p.Next())
	}
}
