package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// The faults of a relay.
const (
	resetBeforeDot = "reset-before-dot" // the connection is reset while the message comes in
	resetAfterDot  = "reset-after-dot"  // the connection is reset instead of an answer, whether the mail was taken or not
	storm421       = "421-storm"        // greetings, commands and dots are answered with 421
	tarpit         = "tarpit"           // every answer is late
	greylisting    = "greylisting"      // the first RCPT of an address is answered with 451
	hanging        = "relay-hangs"      // the first relay takes mails and commands, and answers none until the fault is over
	expired        = "certificate"      // the first relay restarts with a certificate that has expired
)

// wire stands between the workers and the sink, as two relays: the first with TLS, the second without. It plays
// their faults, paces them, and is the witness of the answers that a worker can have heard.
type wire struct {
	upstream      string
	plain, secure net.Listener
	certificates  certificates
	ended         chan struct{}
	open          sync.WaitGroup

	mu       sync.Mutex
	random   *rand.Rand
	conns    map[net.Conn]bool
	faults   map[string]bool
	goesOn   chan struct{} // closed unless the first relay hangs
	greyed   map[string]bool
	interval time.Duration // between two answers to a dot
	next     time.Time     // when the next of them is due
	witness
}

// newWire listens in front of the sink at upstream, until the test ends.
func newWire(t *testing.T, upstream string, seed uint64) *wire {
	t.Helper()
	w := &wire{upstream: upstream, certificates: newCertificates(t), ended: make(chan struct{}),
		random: rand.New(rand.NewPCG(seed, 1)), conns: map[net.Conn]bool{}, faults: map[string]bool{}, greyed: map[string]bool{},
		goesOn: make(chan struct{}), witness: newWitness()}
	close(w.goesOn)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	w.plain, w.secure = listen(), listen()
	w.open.Go(func() { w.accept(w.plain) })
	w.open.Go(func() { w.accept(w.secure) })
	t.Cleanup(func() {
		close(w.ended)
		w.plain.Close()
		w.secure.Close()
		w.mu.Lock()
		for c := range w.conns {
			c.Close()
		}
		w.mu.Unlock()
		w.open.Wait()
	})
	return w
}

// url names both relays.
func (w *wire) url() string {
	return fmt.Sprintf("smtps://%s?name=first,smtp://%s?name=second", w.secure.Addr(), w.plain.Addr())
}

func (w *wire) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		w.open.Go(func() { w.serve(c, l == w.secure) })
	}
}

// set begins or ends a fault.
func (w *wire) set(fault string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[fault] = on
	switch {
	case fault == hanging && on:
		w.goesOn = make(chan struct{})
	case fault == hanging:
		close(w.goesOn)
	}
}

// strikes reports whether the fault lasts and hits this time.
func (w *wire) strikes(fault string, odds float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.faults[fault] && w.random.Float64() < odds
}

// between draws a length of time.
func (w *wire) between(least, most time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return least + time.Duration(w.random.Int64N(int64(most-least)+1))
}

// pace has so many dots answered a second; 0 is as many as come.
func (w *wire) pace(perSecond float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interval = 0
	if perSecond > 0 {
		w.interval = time.Duration(float64(time.Second) / perSecond)
	}
}

// turn returns how long the next answer to a dot has to wait.
func (w *wire) turn() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.interval == 0 {
		w.next = now
	} else {
		w.next = w.next.Add(w.interval)
		if w.next.Before(now) {
			w.next = now
		}
	}
	return w.next.Sub(now)
}

// wait waits unless the test is over.
func (w *wire) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.ended:
	}
}

// dialogue is one connection of a worker.
type dialogue struct {
	*wire
	raw        net.Conn // the worker's socket
	secure     bool
	conn, sink net.Conn
	heard      *bufio.Reader // from the worker
	answers    *bufio.Reader // from the sink
}

func (w *wire) serve(raw net.Conn, secure bool) {
	d := &dialogue{wire: w, raw: raw, secure: secure, conn: raw}
	w.mu.Lock()
	w.conns[raw] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.conns, raw)
		w.mu.Unlock()
		raw.Close()
	}()
	if secure {
		d.conn = tls.Server(raw, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if w.strikes(expired, 1) {
				return &w.certificates.expired, nil
			}
			return &w.certificates.valid, nil
		}})
	}
	var err error
	if d.sink, err = net.Dial("tcp", w.upstream); err != nil {
		return
	}
	defer d.sink.Close()
	d.heard, d.answers = bufio.NewReader(d.conn), bufio.NewReader(d.sink)
	d.late()
	if w.strikes(storm421, 0.5) {
		d.say("421 4.3.2 Too busy")
		return
	}
	for _, ok := d.pipe(""); ok; ok = d.command() {
	}
}

func (d *dialogue) say(line string) bool {
	_, err := io.WriteString(d.conn, line+"\r\n")
	return err == nil
}

// late holds an answer back in a tarpit, or while the relay hangs.
func (d *dialogue) late() {
	d.mu.Lock()
	goesOn := d.goesOn
	d.mu.Unlock()
	if d.secure {
		select {
		case <-goesOn:
		case <-d.ended:
		}
	}
	if d.strikes(tarpit, 1) {
		d.wait(d.between(300*time.Millisecond, 3*time.Second))
	}
}

// command takes one command; false: the connection is over.
func (d *dialogue) command() bool {
	line, err := d.heard.ReadString('\n')
	if err != nil {
		return false
	}
	verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
	d.late()
	switch {
	case d.strikes(storm421, 0.3), verb == "MAIL" && d.secure && d.strikes(expired, 1):
		d.say("421 4.3.2 Closing")
		return false
	case verb == "RCPT" && d.strikes(greylisting, 1) && d.firstTime(line):
		return d.say("451 4.7.1 Greylisted, come back")
	}
	asked := time.Now() // or later
	reply, ok := d.pipe(line)
	if verb == "DATA" && bytes.HasPrefix(reply, []byte("354")) { // not where its recipient was refused
		return ok && d.message(asked)
	}
	return ok
}

func (d *dialogue) firstTime(rcpt string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.greyed[rcpt]
	d.greyed[rcpt] = true
	return !known
}

// pipe passes a command on to the sink, and the reply back; false: the connection is over.
func (d *dialogue) pipe(command string) (reply []byte, ok bool) {
	reply, err := d.pass([]byte(command))
	if err != nil {
		return nil, false
	}
	_, err = d.conn.Write(reply)
	return reply, err == nil
}

func (d *dialogue) reply() (all []byte, err error) {
	for {
		line, err := d.answers.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		all = append(all, line...)
		if len(line) > 3 && line[3] == ' ' {
			return all, nil
		}
	}
}

// message takes the message that follows DATA, with its dot. It was asked for no earlier than at the time given.
func (d *dialogue) message(asked time.Time) bool {
	d.busy(1)
	defer d.busy(-1)
	body, whole, err := d.body(d.strikes(resetBeforeDot, 0.3))
	id := messageID(body)
	if !whole {
		if err == nil {
			d.note(d.cut, id)
			d.reset()
		}
		// The part of the message that came goes on to the sink, which must not take it.
		d.sink.Write(body)
		return false
	}
	d.came(id, asked)
	if d.strikes(storm421, 0.3) {
		d.say("421 4.3.2 Closing")
		return false
	}
	if d.strikes(resetAfterDot, 0.3) {
		d.note(d.cut, id)
		d.note(d.kept, id)
		if d.strikes(resetAfterDot, 0.5) {
			d.pass(body)
		}
		d.reset()
		return false
	}
	late := d.turn()
	first := d.between(0, late)
	d.wait(first) // the worker may be gone meanwhile; the mail is taken all the same
	reply, err := d.pass(body)
	if err != nil {
		d.note(d.cut, id)
		return false
	}
	d.wait(late - first)
	d.late()
	if bytes.HasPrefix(reply, []byte("2")) {
		d.note(d.told, id)
	}
	_, err = d.conn.Write(reply)
	return err == nil
}

// body reads the message up to its dot or, when it is to be cut, to somewhere behind its header. The error says that
// the worker hung up.
func (d *dialogue) body(cut bool) (body []byte, whole bool, err error) {
	lines := 0
	if cut {
		lines = int(d.between(1, 40))
	}
	header := true
	for {
		line, err := d.heard.ReadBytes('\n')
		body = append(body, line...)
		if err != nil {
			return body, false, err
		}
		if string(line) == ".\r\n" {
			return body, true, nil
		}
		header = header && string(line) != "\r\n"
		if cut && !header {
			if lines--; lines == 0 || d.heard.Buffered() == 0 {
				return body, false, nil
			}
		}
	}
}

// pass hands a command or a whole message to the sink and returns its answer.
func (d *dialogue) pass(said []byte) ([]byte, error) {
	if _, err := d.sink.Write(said); err != nil {
		return nil, err
	}
	return d.reply()
}

// reset drops the worker's connection without a word.
func (d *dialogue) reset() {
	if t, ok := d.raw.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	d.raw.Close()
}
