package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// script plays a schedule that is written by hand, one call after another, on a ledger with one mailbox. Random
// schedules come by these too seldom. It looks for the promise after each call, like them.
type script struct {
	*world
	s       *session
	between map[string]func() // done once before a transaction of that kind
	dies    map[string]bool   // the process dies before a transaction of that kind, once
	err     error
}

// perform plays a script, and returns the first thing that was violated.
func perform(t *testing.T, s stage, broken mutant, play func(p *script)) (err error) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(s, 0, broken)
		p := &script{world: w, between: map[string]func(){}, dies: map[string]bool{}}
		w.memory.customers, w.memory.notices, w.memory.chunkSize = []simCustomer{{"customer0x", "m0@0.example.com"}}, nil, 1
		for i, phase := range []string{"identified", "monitoring", "resolved"} {
			b := simBody(fmt.Sprint("n", i+1))
			b.Incident, b.Phase = "i", phase
			w.memory.draft(b, simTexts)
		}
		p.s = newSession(w.memory, p.transact)
		play(p)
		err = p.err
	})
	return err
}

func (p *script) transact(_ context.Context, kind string, _, _ int64, do func() error) error {
	if f := p.between[kind]; f != nil {
		delete(p.between, kind)
		f()
	}
	if p.dies[kind] {
		delete(p.dies, kind)
		return errDead
	}
	err := do()
	p.look(kind)
	return err
}

// look notes a violation after a step.
func (p *script) look(step string) {
	if p.err == nil {
		p.err = p.checker.check(step)
	}
}

// must notes that a step did not end as the protocol has it.
func (p *script) must(ok bool, what string) {
	if !ok && p.err == nil {
		p.err = errors.New(what)
	}
}

func (p *script) wait(d time.Duration) { time.Sleep(d) }

func (p *script) release(n int64) {
	released, err := p.s.Release(context.Background(), n, everybody, ledger.Press{Domain: "example.net", Who: "op", MaxRecipients: p.memory.notice(n).Body.MaxRecipients})
	p.must(released && err == nil, fmt.Sprint("the release was refused: ", err))
}

// chunk is the one that a notice has.
func (p *script) chunk(n int64) *chunkRow { return p.memory.chunkOf(p.memory.notice(n), 0) }

// claim claims the chunk of a notice, and reports whether its delivery is due.
func (p *script) claim(n int64) (at ledger.Attempt, due bool) {
	c, ok, _ := p.s.Claim(context.Background(), p.chunk(n).id, "w")
	p.must(ok, "the claim was refused")
	return ledger.Attempt{NoticeID: n, ChunkID: c.ChunkID, Epoch: c.Epoch}, len(c.Due) > 0
}

func (p *script) mark(at ledger.Attempt) bool {
	granted, _ := p.s.Commit(context.Background(), []ledger.Attempt{at}, nil)
	return granted[0]
}

// attempt claims and marks a delivery that is due.
func (p *script) attempt(n int64) ledger.Attempt {
	at, due := p.claim(n)
	p.must(due && p.mark(at), "the mark was refused")
	return at
}

// dot writes a dot; the relay takes the mail where it says so, and does not answer.
func (p *script) dot(at ledger.Attempt, takes bool) {
	key := p.memory.notice(at.NoticeID).Key
	x := &exchange{at: at, last: time.Now(), mail: notice.Mail{To: "m0@0.example.com", Raw: []byte("X-Notice: " + key + "\r\ncustomer0x")}}
	p.checker.dotted(at, x.mailbox())
	p.relay.write(x)
	if takes {
		p.relay.take(x)
		p.relay.said[x.mailbox()] = true
	} else {
		p.relay.drop(x)
	}
	p.look("dot")
}

// answer has a worker record an answer.
func (p *script) answer(at ledger.Attempt, s notice.DeliveryState, noDot bool) {
	if s == notice.DeliveryFailed {
		p.relay.never[at] = true
	}
	_, _ = p.s.Commit(context.Background(), nil, []ledger.Outcome{{Attempt: at, State: s, NoDot: noDot}})
}

func (p *script) close(at ledger.Attempt) {
	_, _ = p.s.CloseChunk(context.Background(), ledger.Claim{ChunkID: at.ChunkID, NoticeID: at.NoticeID, Epoch: at.Epoch})
}

// requeue has an operator requeue a delivery, and reports whether that was done.
func (p *script) requeue(n int64) bool {
	done, _ := p.s.Settle(context.Background(), n, notice.Settlement{Requeue: true, Address: "m0@0.example.com"}, "m0@0.example.com", "op")
	return done.Changed == 1
}

// comeBack has the mail of an attempt come back.
func (p *script) comeBack(at ledger.Attempt) {
	r := ledger.Returned{NoticeID: at.NoticeID, Seq: at.Seq, Epoch: at.Epoch, Kind: notice.KindBounce, Class: notice.BouncePolicy}
	_, _ = p.s.Return(context.Background(), r)
}

// lose has a delivery attempted by a worker that is not heard of until its delivery was requeued.
func (p *script) lose(n int64, takes bool) ledger.Attempt {
	lost := p.attempt(n)
	p.dot(lost, takes)
	p.wait(2 * simLease)
	at, _ := p.claim(n)
	p.wait(simGate + time.Second)
	p.must(p.requeue(n), "the requeue was refused")
	p.close(at)
	return lost
}

// scriptOf is the schedule that catches a mutant which the random ones hardly come by; nil: they do.
func scriptOf(m mutant) func(p *script) {
	for _, about := range []map[mutant]func(p *script){newsScripts, addedScripts, canaryScripts, failoverScripts} {
		if play := about[m]; play != nil {
			return play
		}
	}
	if play := reminders[m]; play != nil {
		return play
	}
	if play := amendScripts[m]; play != nil {
		return play
	}
	return scripts[m]
}

// scripts are schedules about one notice.
var scripts = map[mutant]func(p *script){
	// The hole of the protocol before this one: the third mail left.
	late250NotOverSending: func(p *script) {
		p.release(1)
		lost := p.lose(1, true)
		second := p.attempt(1)
		p.answer(lost, notice.DeliverySent, false)
		p.dot(second, false)
		p.answer(second, notice.DeliveryDeferred, false)
		p.close(second)
		p.must(!p.chunk(1).open, "a 250 was heard, and it is owed again")
	},
	late250NotOverQueued: func(p *script) {
		p.release(1)
		p.answer(p.lose(1, true), notice.DeliverySent, false)
		p.must(!p.chunk(1).open, "a 250 was heard, and it is owed again")
	},
	markIgnoresSent: func(p *script) {
		p.release(1)
		lost := p.lose(1, true)
		again, due := p.claim(1)
		p.must(due, "it is not owed again")
		p.answer(lost, notice.DeliverySent, false)
		p.must(!p.mark(again), "a mark was granted after the 250 to an earlier attempt")
	},
	lateNoDotGivesBirth: func(p *script) {
		p.release(1)
		lost, _ := p.claim(1)
		p.wait(2 * simLease)
		second := p.attempt(1)
		p.answer(lost, notice.DeliveryFailed, true)
		p.dot(second, true)
		p.answer(second, notice.DeliveryUncertain, false)
	},
	unresolvedIgnored: func(p *script) {
		p.release(1)
		p.lose(1, true)
		_ = p.s.Cancel(context.Background(), 1, "op")
	},
	requeueWithoutEpoch: func(p *script) {
		p.release(1)
		first := p.attempt(1)
		p.dot(first, false)
		p.answer(first, notice.DeliveryUncertain, false)
		p.close(first)
		p.wait(simGate + time.Second)
		p.informed, p.s.looks = true, p.relay.has
		p.between["settle"] = func() { // another operator, after the look of the first
			p.must(p.requeue(1), "the requeue was refused")
			second := p.attempt(1)
			p.dot(second, true)
			p.answer(second, notice.DeliveryUncertain, false)
			p.close(second)
			p.wait(simGate + time.Second)
		}
		p.must(!p.requeue(1), "it was requeued though the relay has it")
	},
	bounceWithoutLock: func(p *script) {
		p.release(1)
		first := p.attempt(1)
		p.dot(first, true)
		p.answer(first, notice.DeliveryUncertain, false)
		p.close(first)
		p.wait(simGate + time.Second)
		p.between["return"] = func() { p.must(p.requeue(1), "the requeue was refused") }
		p.comeBack(first)
		p.must(p.chunk(1).view(0).state.Owed(), "a bounce of the attempt before has ended what is owed")
	},
	bounceOfAnyAttempt: bounceOfOlder, olderReportForgotten: bounceOfOlder,
	bounceOfAnsweredFirst: func(p *script) { // the 250 to the first came while the second was under way
		p.release(1)
		lost := p.lose(1, true)
		second := p.attempt(1)
		p.answer(lost, notice.DeliverySent, false)
		p.comeBack(lost)
		p.must(p.chunk(1).view(0).state == notice.DeliverySent, "a bounce of the first has ended it, and the second may arrive")
		p.dot(second, true)
		p.answer(second, notice.DeliverySent, false)
	},
	eraseWithoutLock: func(p *script) {
		shown, _ := p.s.freeze(context.Background(), 1)
		p.between["erase"] = func() { _, _ = p.s.take(context.Background(), 1, shown.digest, "example.net") }
		_ = p.s.DeleteCustomer(context.Background(), "customer0x")
		p.must(!p.chunk(1).open, "a mail is owed to a customer who was erased")
	},
	collectorDeletesFirst: func(p *script) {
		shown, _ := p.s.freeze(context.Background(), 1)
		p.between["collect"] = func() {
			p.between["collect"] = func() { _, _ = p.s.take(context.Background(), 1, shown.digest, "example.net") }
		}
		_ = p.s.Collect(context.Background(), shown)
	},
	takesBackWhatBegan: func(p *script) {
		p.tomorrow(1)
		p.release(1)
		p.must(p.s.SendNow(context.Background(), 1, "op") == nil, "it was not sent now")
		_, _ = p.s.Sweep(context.Background())
		p.dot(p.attempt(1), true)
		p.takeBack(1)
	},
	takesBackWhatMayHaveLeft: func(p *script) { // an operator has said so, after a restore
		p.tomorrow(1)
		p.release(1)
		p.memory.notice(1).State = notice.Held
		_ = p.s.Unhold(context.Background(), 1, false, false, "op")
		p.must(!p.takeBack(1), "it was taken back, and its next release sends again what may have left")
	},
	resumeLiftsTheFence: func(p *script) {
		p.release(1)
		p.memory.notice(1).State, p.memory.notice(1).reason = notice.Held, notice.ReasonRestored
		p.must(p.s.Resume(context.Background(), 1, false, "op") != nil, "a resume let go of what may have left before the restore")
	},
	takenBackKeepsOutcomes: func(p *script) {
		p.tomorrow(1)
		p.checker.wants("m0@0.example.com")
		p.memory.list("m0@0.example.com", notice.ScopeAll)
		p.release(1)
		p.must(p.takeBack(1), "it was not taken back")
		delete(p.memory.listed, "m0@0.example.com")
		p.release(1)
		p.must(p.chunk(1).view(0).state.Owed(), "a mailbox that is not on the list any more is forgotten")
	},
	migrationForgets: func(p *script) { // it was uncertain after a restore, and requeued: it may have gone out before
		rows := &rowMemory{now: time.Now, opts: p.memory.opts, chunkSize: 1, sliceSize: 1, customers: p.memory.customers}
		id := rows.draft(simBody("n1"), simTexts)
		_, _ = rows.release(id, everybody, "example.net")
		rows.expand(id)
		rows.notices[0].deliveries[0].unresolved = -1
		p.memory.notices = nil
		p.must(migrate(rows, p.memory), "the migration was refused")
		p.relay.copies[mailbox{"n1", "m0@0.example.com"}] = 1
		p.checker.shown(p.memory.plans[0])
		_ = p.s.Cancel(context.Background(), id, "op")
	},
}

// bounceOfOlder has a mail come back that was sent again since.
func bounceOfOlder(p *script) {
	p.release(1)
	lost := p.lose(1, true)
	second := p.attempt(1)
	p.dot(second, true)
	p.answer(second, notice.DeliverySent, false)
	p.comeBack(lost)
	p.must(p.chunk(1).view(0).state == notice.DeliverySent, "a bounce of the attempt before has ended what was sent since")
}

// TestSchedulesByHand plays each under the protocol as it is.
func TestSchedulesByHand(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, m := range mutants {
		play := scriptOf(m)
		if play == nil {
			continue
		}
		if err := perform(t, s, none, play); err != nil {
			t.Errorf("the schedule that catches %q: %v", m, err)
		}
	}
}
