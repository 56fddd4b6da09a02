package send

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// The stages of a conversation at which a script can interfere.
const (
	atGreeting = "greeting"
	atEHLO     = "EHLO"
	atSTARTTLS = "STARTTLS"
	atMAIL     = "MAIL"
	atRCPT     = "RCPT"
	atDATA     = "DATA"
	inBody     = "body" // after 354, before the message is read
	atDot      = "dot"
	atRSET     = "RSET"
	atAUTH     = "AUTH"
	atQUIT     = "QUIT"
)

// act is the way in which the scripted server departs from SMTP at a stage.
type act struct {
	say    string // this, as it stands; CRLF is added where it lacks
	hangUp bool   // and then close the connection
	silent bool   // say nothing, and wait for the client to go
	slowly bool   // a byte a write
	once   bool   // the first time only
	then   func() // afterwards

	after <-chan struct{} // not before this
	late  time.Duration   // so much later
}

// server is an SMTP relay that follows a script.
type server struct {
	t        *testing.T
	listener net.Listener
	script   map[string]act
	ehlo     []string // extensions
	tls      *tls.Config
	implicit bool   // TLS from the first byte
	refuses  string // recipients that begin so
	// forNobody is its reply to DATA though there is no recipient; "" = it refuses.
	forNobody string
	crowded   string // at this stage it refuses connections beyond room
	room      int32
	present   atomic.Int32
	fragile   bool // it hangs up where an envelope came with the dot
	bursts    bool // replies to commands that came together go out together
	// holds returns when the answer to a dot may be given, nil = at once; n counts the dots, that one included.
	holds func(n int, to string) <-chan struct{}

	stopping chan struct{}
	done     sync.WaitGroup
	mu       sync.Mutex
	fired    map[string]bool
	said     []string // MAIL commands
	asked    []string // RCPT commands
	tried    []string // mechanisms of AUTH
	conns    map[net.Conn]bool

	connections atomic.Int32
	dots        atomic.Int32 // full dots that were read
	accepted    atomic.Int32 // dots that were answered with 250
	underTLS    atomic.Int32 // messages that came through TLS
	logins      atomic.Int32
	greeted     atomic.Value // string: the name in the last EHLO
	body        atomic.Value // string: the last one, as it came over the wire
	together    atomic.Int32 // envelopes that came with a dot

	dotted, took map[string]int // dots that were read, and answered with 250, by recipient; guarded by mu
}

func serve(t *testing.T, script map[string]act) *server {
	t.Helper()
	s := newServer(t, script)
	s.start()
	return s
}

func newServer(t *testing.T, script map[string]act) *server {
	t.Helper()
	return newServerAt(t, "127.0.0.1:0", script)
}

func newServerAt(t *testing.T, address string, script map[string]act) *server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return &server{t: t, listener: l, script: script, fired: map[string]bool{}, conns: map[net.Conn]bool{},
		stopping: make(chan struct{}), dotted: map[string]int{}, took: map[string]int{},
		ehlo: []string{"8BITMIME", "ENHANCEDSTATUSCODES"}}
}

func (s *server) start() {
	s.done.Go(func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			s.done.Go(func() {
				defer c.Close()
				defer s.present.Add(-1)
				s.over(c, s.present.Add(1) > s.room && s.crowded != "")
			})
		}
	})
	s.t.Cleanup(s.stop) // a second call does nothing
}

// stop hangs up on everybody and returns when nothing more can happen.
func (s *server) stop() {
	if s.listener.Close() == nil {
		close(s.stopping)
	}
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *server) relay() Relay {
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	n, _ := strconv.Atoi(port)
	return Relay{Name: "test", Host: host, Port: n, TLS: TLSOpportunistic, Connections: 2}
}

// at follows the script of the stage, or says usual. It reports whether the conversation goes on, and whether the
// command was taken.
func (s *server) at(c net.Conn, stage, usual string) (ok, taken bool) {
	s.mu.Lock()
	a, scripted := s.script[stage]
	if scripted && a.once && s.fired[stage] {
		scripted = false
	}
	s.fired[stage] = true
	s.mu.Unlock()
	if !scripted {
		a = act{say: usual}
	}
	if a.after != nil {
		select {
		case <-a.after:
		case <-s.stopping:
		}
	}
	if a.late > 0 {
		select {
		case <-time.After(a.late):
		case <-s.stopping:
		}
	}
	if a.silent {
		// Returns when the client has hung up: the client's timeouts end this.
		for b := make([]byte, 1024); ; {
			if _, err := c.Read(b); err != nil {
				return false, false
			}
		}
	}
	if a.say != "" {
		say := a.say
		if !strings.HasSuffix(say, "\n") {
			say += "\r\n"
		}
		if stage == atDot && strings.HasPrefix(say, "250") {
			s.accepted.Add(1)
		}
		if a.slowly {
			for i := range len(say) {
				c.Write([]byte(say[i : i+1]))
			}
		} else {
			c.Write([]byte(say))
		}
	}
	if a.hangUp {
		c.Close()
	}
	if a.then != nil {
		a.then()
	}
	return !a.hangUp, len(a.say) > 0 && a.say[0] < '4'
}

func (s *server) converse(c net.Conn) {
	if s.implicit {
		c = tls.Server(c, s.tls)
	}
	if ok, _ := s.at(c, atGreeting, "220 test ESMTP"); !ok {
		return
	}
	r := bufio.NewReader(c)
	if s.bursts {
		c = &bursting{Conn: c, r: r}
	}
	var mailed, addressed bool
	var to string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		ok := true
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO", "HELO":
			s.greeted.Store(strings.TrimPrefix(line[4:], " "))
			ok, _ = s.at(c, atEHLO, "250-test\r\n250-"+strings.Join(s.ehlo, "\r\n250-")+"\r\n250 HELP")
		case "MAIL":
			s.mu.Lock()
			s.said = append(s.said, line)
			s.mu.Unlock()
			ok, mailed = s.at(c, atMAIL, "250 2.1.0 ok")
		case "RCPT":
			s.mu.Lock()
			s.asked = append(s.asked, line)
			s.mu.Unlock()
			to, _, _ = strings.Cut(line[len("RCPT TO:<"):], ">")
			if s.refuses != "" && strings.HasPrefix(to, s.refuses) {
				c.Write([]byte("550 5.1.1 nobody\r\n"))
			} else if mailed {
				ok, addressed = s.at(c, atRCPT, "250 2.1.5 ok")
			} else {
				c.Write([]byte("503 5.5.1 MAIL first\r\n"))
			}
		case "DATA":
			var taken bool
			if !addressed && s.forNobody != "" && mailed {
				c.Write([]byte(s.forNobody + "\r\n"))
				if line, _ = r.ReadString('\n'); line == ".\r\n" {
					c.Write([]byte("554 5.5.1 no valid recipients\r\n"))
				}
			} else if !addressed {
				c.Write([]byte("503 5.5.1 RCPT first\r\n"))
			} else if ok, taken = s.at(c, atDATA, "354 go on"); ok && taken {
				if ok, _ = s.at(c, inBody, ""); ok {
					ok = s.message(c, r, to)
				}
			}
			mailed, addressed = false, false
		case "RSET":
			mailed, addressed = false, false
			ok, _ = s.at(c, atRSET, "250 2.0.0 ok")
		case "QUIT":
			if ok, _ := s.at(c, atQUIT, "221 2.0.0 bye"); ok {
				c.SetReadDeadline(time.Now().Add(time.Second))
				io.Copy(io.Discard, r) // the client hangs up
			}
			return
		case "STAR":
			var taken bool
			if ok, taken = s.at(c, atSTARTTLS, "220 2.0.0 go on"); !taken {
				break
			}
			c = tls.Server(c, s.tls)
			r = bufio.NewReader(c)
		case "AUTH":
			ok = s.auth(c, r, strings.Fields(line)[1:])
		default:
			c.Write([]byte("500 5.5.1 what?\r\n"))
		}
		if !ok {
			return
		}
	}
}

func (s *server) message(c net.Conn, r *bufio.Reader, to string) bool {
	var body strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		body.WriteString(line)
	}
	if _, ok := c.(*tls.Conn); ok {
		s.underTLS.Add(1)
	}
	if next, _ := r.Peek(r.Buffered()); strings.HasPrefix(string(next), "MAIL") {
		s.together.Add(1)
		if s.fragile {
			return false
		}
	}
	n := s.dots.Add(1)
	s.body.Store(body.String())
	s.mu.Lock()
	s.dotted[to]++
	a, scripted := s.script[atDot]
	if !scripted || a.once && s.fired[atDot] || strings.HasPrefix(a.say, "250") {
		s.took[to]++
	}
	s.mu.Unlock()
	if s.holds != nil {
		if until := s.holds(int(n), to); until != nil {
			select {
			case <-until:
			case <-s.stopping:
				return false
			}
		}
	}
	ok, _ := s.at(c, atDot, "250 2.0.0 queued as 42")
	return ok
}

// bursting holds replies back until every command that has come is answered.
type bursting struct {
	net.Conn
	r   *bufio.Reader
	out []byte
}

func (b *bursting) Write(p []byte) (int, error) {
	b.out = append(b.out, p...)
	if b.r.Buffered() == 0 {
		_, err := b.Conn.Write(b.out)
		b.out = nil
		return len(p), err
	}
	return len(p), nil
}

// permit is a notice.Permit with answers as its fields have them.
type permit struct {
	asked  atomic.Int32
	called chan struct{} // closed by the first Wait, may be nil
	once   sync.Once
	before <-chan struct{} // Wait returns after this, nil = at once
	deaf   bool            // Wait does not heed the end of its context
	within time.Duration   // until is so far away; 0 = a minute
	err    error
}

func (p *permit) Ask() { p.asked.Add(1) }

func (p *permit) Wait(ctx context.Context) (time.Time, error) {
	if p.called != nil {
		p.once.Do(func() { close(p.called) })
	}
	if p.deaf {
		<-p.before
	} else if p.before != nil {
		select {
		case <-p.before:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
	if p.within == 0 {
		p.within = time.Minute
	}
	return time.Now().Add(p.within), p.err
}

var (
	errRefused = errors.New("the lease is lost")
	mail       = notice.Mail{From: "status@example.net", To: "ada@example.org", Raw: []byte("Subject: x\r\n\r\nhello\r\n")}
)

// usual are options with timeouts that no test waits for: all servers that answer at all answer long before them.
var usual = Options{Hello: "client.example", AcquireTimeout: 20 * time.Second}

// hasty are options for servers that never answer.
var hasty = Options{Hello: "client.example", StepTimeout: 500 * time.Millisecond, AnswerTimeout: 500 * time.Millisecond}

func pool(t *testing.T, o Options, relays ...Relay) *Pool {
	t.Helper()
	p := New(relays, o)
	t.Cleanup(p.Close)
	return p
}
