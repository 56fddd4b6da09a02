package send

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func TestWhichRepliesAskForFewerConnections(t *testing.T) {
	t.Parallel()
	for say, want := range map[string]bool{
		"432 4.3.2 STOREDRV; come back":                            true,
		"421 4.7.0 Too many concurrent SMTP connections":           true,
		"421 too many connections from your host":                  true,
		"451 4.7.1 concurrent connections limit exceeded":          true,
		"421 4.4.5 connection limit reached":                       true,
		"421 too many messages on this connection":                 false,
		"450 4.2.1 too many recipients in this session":            false,
		"554 5.7.1 too many connections":                           false,
		"451 4.7.1 greylisted":                                     false,
		"250 2.0.0 too many connections, and welcome all the same": false,
	} {
		if got := replyOf(say).crowded(); got != want {
			t.Errorf("%s: %v", say, got)
		}
	}
}

// TestA421OnAConnectionThatCarriedMailCostsNoTry: a relay that closes each connection after a mail, by 421, costs no
// mail a try.
func TestA421OnAConnectionThatCarriedMailCostsNoTry(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{atMAIL, atRCPT, atDATA} {
		s := serve(t, nil)
		p := pool(t, usual, s.relay())
		mustSend(t, p)
		s.mu.Lock()
		s.script = map[string]act{stage: {say: "421 4.7.0 too many messages on this connection", hangUp: true, once: true}}
		clear(s.fired)
		s.mu.Unlock()
		mustSend(t, p)
		if n := s.connections.Load(); n != 2 {
			t.Errorf("421 to %s: %d connections, want 2", stage, n)
		}
	}
}

func TestA421ToTheDotOfAUsedConnectionIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := pool(t, usual, s.relay())
	mustSend(t, p)
	s.mu.Lock()
	s.script = map[string]act{atDot: {say: "421 4.7.0 too many messages", hangUp: true}}
	s.mu.Unlock()
	if a, err := p.Send(t.Context(), mail, &permit{}); err != nil || a.Outcome != notice.OutcomeLater || !a.OfRelay || a.NoDot {
		t.Errorf("got %+v, %v", a, err)
	}
}

// TestARelayTeachesHowManyConnectionsItTakes: a relay that takes two connections of sixteen, and refuses the others in
// the greeting or at MAIL, goes on with two.
func TestARelayTeachesHowManyConnectionsItTakes(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{atGreeting, atMAIL} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, nil)
			s.crowded, s.room = stage, 2
			s.start()
			r := s.relay()
			r.Connections = 16
			p := pool(t, usual, r)
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					for range 20 {
						mustSend(t, p)
					}
				})
			}
			all.Wait()
			if h := p.Health(); h[0].State != "up" {
				t.Errorf("%+v", h)
			}
			if n := s.connections.Load(); n > 40 {
				t.Errorf("%d connections for 320 mails", n)
			}
		})
	}
}

// TestARelayThatRefusesTheSurplusFirstDoesNotRest: a relay refuses the connections that are too many before it has
// greeted the others. TLS and AUTH take time.
func TestARelayThatRefusesTheSurplusFirstDoesNotRest(t *testing.T) {
	t.Parallel()
	refused := make(chan struct{})
	s := newServer(t, map[string]act{atEHLO: {say: "250 test", after: refused}})
	s.crowded, s.room = atGreeting, 3
	s.start()
	r := s.relay()
	r.Connections = 8
	p := pool(t, usual, r)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { mustSend(t, p) })
	}
	for range time.Tick(time.Millisecond) {
		p.mu.Lock()
		opening := p.relays[0].opening
		p.mu.Unlock()
		if s.connections.Load() > 3 && opening == 3 || t.Context().Err() != nil {
			break
		}
	}
	p.mu.Lock()
	if r := p.relays[0]; !r.up() || r.limit() != 3 {
		t.Errorf("it is up: %v, and gets %d connections, want 3", r.up(), r.limit())
	}
	p.mu.Unlock()
	close(refused)
	all.Wait()
}

// over serves a connection, which may be one too many.
func (s *server) over(c net.Conn, tooMany bool) {
	switch {
	case tooMany && s.crowded == atGreeting:
		c.Write([]byte("421 4.7.0 too many connections\r\n"))
	case tooMany:
		c.Write([]byte("220 test\r\n"))
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "EHLO") {
				c.Write([]byte("250 test\r\n"))
			} else {
				c.Write([]byte("432 4.3.2 concurrent connections limit exceeded\r\n"))
			}
		}
	default:
		s.converse(c)
	}
}
