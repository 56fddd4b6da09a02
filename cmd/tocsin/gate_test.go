package main

import (
	"math"
	"sync"
	"testing"
	"time"

	"tocsin/internal/sink"
)

// gate holds up the sink's answers to a dot: each goes through it. A test that shuts it has a notice under way for as
// long as it likes, with few mails and on any machine.
type gate struct {
	t *testing.T

	mu     sync.Mutex
	left   int           // answers that still go through
	stuck  chan struct{} // closed at the first that does not
	opened chan struct{} // closed by open
}

// newGate returns a gate that is open, and is again when the test ends.
func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, left: math.MaxInt}
	t.Cleanup(g.open)
	return g
}

// shut lets n more answers through.
func (g *gate) shut(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.stuck, g.opened = n, make(chan struct{}), make(chan struct{})
}

// await waits until an answer is held up, for a minute at most. Its mail is in the sink, and its worker does not know.
func (g *gate) await() {
	g.t.Helper()
	select {
	case <-g.stuck:
	case <-time.After(time.Minute):
		g.t.Fatal("the sink has too few mails to hold up an answer")
	}
}

// open lets all answers through.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left = math.MaxInt; g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

// pass is called for each mail, by the sink.
func (g *gate) pass(sink.Mail) {
	g.mu.Lock()
	g.left--
	opened := g.opened
	if g.left == -1 {
		close(g.stuck)
	}
	through := g.left >= 0
	g.mu.Unlock()
	if !through {
		<-opened
	}
}
