package delivery

import (
	"context"
	"testing"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// failoverScripts have a standby promoted that lacks the mark of a mail which left.
var failoverScripts = map[mutant]func(p *script){
	followsWithoutNote:   losing(func(m *memory, b *tables) { b.note = false }),
	followsLaterTimeline: losing(func(m *memory, b *tables) { m.is.timeline++ }),
	followsOtherSystem:   losing(func(m *memory, b *tables) { m.is.system++ }),
	followsLessMarks:     losing(func(m *memory, b *tables) { m.known++ }), // the worker lives
}

// losing has a mail leave under a mark that the standby lacks. Its worker dies with the primary, and nobody knows of
// that mark. All else speaks for the standby, but for one thing.
func losing(change func(m *memory, b *tables)) func(p *script) {
	return func(p *script) {
		m := p.memory
		p.release(1)
		m.noteStandby(true)
		b := m.tables.backup()
		p.dot(p.attempt(1), true)
		m.known = b.number
		change(m, &b)
		m.failOver(&b)
		p.checker.forget()
		c, ok, _ := p.s.Claim(context.Background(), 1, "x")
		if ok { // nobody marks a notice that the mutant holds
			granted, _ := p.s.Commit(context.Background(), []ledger.Attempt{{NoticeID: 1, ChunkID: c.ChunkID, Epoch: c.Epoch}}, nil)
			ok = granted != nil && granted[0]
		}
		p.must(!ok, "the mail was marked again that left before the failover")
		p.must(m.notice(1).State == notice.Held, "the notice goes on")
	}
}

// TestASynchronousStandbyIsFollowed goes on after a failover and the next one, and holds after one that nobody waited for.
func TestASynchronousStandbyIsFollowed(t *testing.T) {
	t.Parallel()
	err := perform(t, newStage(t), none, func(p *script) {
		m := p.memory
		p.release(1)
		for range 2 {
			m.noteStandby(true)
			m.failOver(nil)
			at := p.attempt(1)
			p.answer(at, notice.DeliveryDeferred, true)
			p.close(at)
			p.must(m.notice(1).State == notice.Sending && !m.fenced, "a failover without loss is held")
			p.wait(simLease)
		}
		m.failOver(nil)
		_, _, _ = p.s.Claim(context.Background(), 1, "x")
		p.must(m.notice(1).State == notice.Held && m.fenced, "the note of before the last failover was believed")
	})
	if err != nil {
		t.Error(err)
	}
}
