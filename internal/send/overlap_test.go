package send

import (
	"testing"

	"tocsin/internal/notice"
)

// TestARelayThatBreaksOffBehindADotGetsEnvelopesApart: a relay that breaks off when an envelope comes with a dot costs
// one mail its answer, and no more.
func TestARelayThatBreaksOffBehindADotGetsEnvelopesApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		greeting  string
		uncertain int
	}{
		"it does not say so": {"220 relay.test ready", 1},
		"a Dovecot":          {"220 relay.test Dovecot (Debian) ready.", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := pipelined(t, map[string]act{atGreeting: {say: c.greeting}})
			s.fragile = true
			s.start()
			r.Connections = 8
			all := submit(pool(t, usual, r), 200, nil)
			all.left.Wait()
			uncertain := 0
			for to, a := range all.answers {
				switch {
				case a.Outcome == notice.OutcomeUncertain:
					uncertain++
				case a.Outcome != notice.OutcomeSent:
					t.Errorf("%s: %+v", to, a)
				}
			}
			if uncertain != c.uncertain {
				t.Errorf("%d are uncertain, want %d", uncertain, c.uncertain)
			}
		})
	}
}
