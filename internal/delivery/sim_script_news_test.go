package delivery

import (
	"context"
	"time"

	"tocsin/internal/notice"
)

// newsScripts are schedules about which of an incident's notices is the later, by the mutant that each catches.
var newsScripts = map[mutant]func(p *script){
	laterUnresolvedIgnored: func(p *script) {
		p.release(1)
		p.release(2)
		p.lose(2, true)
		second := p.attempt(2)
		p.answer(second, notice.DeliveryFailed, true)
		p.must(!p.requeue(1), "old news is owed again, and the new may have arrived")
	},
	uncertainPassedOver: func(p *script) { // its worker answers late that it wrote no dot
		p.release(1)
		lost := p.attempt(1)
		p.wait(2 * simLease)
		at, _ := p.claim(1)
		p.wait(simGate + time.Second)
		p.close(at)
		p.must(p.chunk(1).view(0).state == notice.DeliveryUncertain && !p.chunk(1).open, "the chunk is not closed, or its delivery not uncertain")
		p.release(2)
		p.answer(lost, notice.DeliveryDeferred, true)
		p.must(!p.chunk(1).view(0).state.Owed(), "old news is owed again, and the new is owed")
	},
	reviveUnderLease: func(p *script) {
		p.release(1)
		_, _ = p.claim(1)
		p.release(2)
		second := p.attempt(2)
		p.answer(second, notice.DeliveryFailed, true)
		p.must(!p.requeue(1), "it was requeued, and its worker may still mark it")
		p.wait(2 * simLease)
		p.must(p.requeue(1), "the requeue was refused")
	},
	laterDoesNotWait: func(p *script) {
		p.release(1)
		old := p.attempt(1)
		p.release(2)
		if later, due := p.claim(2); due {
			p.mark(later)
		}
		p.dot(old, true)
	},
	cancelledNotSuperseded: func(p *script) {
		p.release(1)
		old := p.attempt(1)
		_ = p.s.Cancel(context.Background(), 1, "op")
		p.release(2)
		_, due := p.claim(2)
		p.must(!due, "the later mail may go out before a dot of the earlier notice")
		p.dot(old, true)
	},
	waitIgnoresSent: func(p *script) {
		p.release(1)
		lost := p.lose(1, true)
		old := p.attempt(1)
		p.answer(lost, notice.DeliverySent, false)
		p.release(2)
		if later, due := p.claim(2); due {
			p.mark(later)
		}
		p.dot(old, false)
	},
	stoppedSupersedes: func(p *script) {
		tomorrow := time.Now().Add(24 * time.Hour)
		p.memory.notice(2).SendAt = &tomorrow
		for n := range int64(3) {
			p.release(n + 1)
		}
		last := p.attempt(3)
		p.answer(last, notice.DeliveryFailed, true)
		p.close(last)
		p.must(p.requeue(1), "the requeue was refused")
		p.wait(25 * time.Hour)
		_, _ = p.s.Sweep(context.Background()) // the second begins, with nothing to send
		p.must(p.chunk(1).view(0).state.Owed(), "a notice that sends nothing has stopped the only one that does")
	},
	phaseAloneTells: func(p *script) { // the incident came back
		p.release(2)
		p.wait(time.Second)
		p.release(1)
		p.must(p.chunk(1).view(0).state.Owed(), "what was released after the later phase began is taken for old news")
	},
	onlyOwedSupersedes: func(p *script) {
		p.tomorrow(2)
		p.release(1)
		p.release(2)
		p.wait(25 * time.Hour)
		for n := range int64(2) {
			p.memory.notice(n + 1).State = notice.Held
		}
		_ = p.s.Unhold(context.Background(), 2, false, false, "op") // it may have gone after the backup
		_ = p.s.Unhold(context.Background(), 1, true, false, "op")
		p.must(!p.chunk(1).view(0).state.Owed(), "old news is owed, and the new may have arrived")
	},
	lateNoticeNotSuperseded: func(p *script) {
		p.atSend(1)
		p.release(1)
		p.release(2)
		p.wait(25 * time.Hour)
		p.leave(1)
		p.must(!p.chunk(1).view(0).state.Owed(), "old news has left after the new")
	},
	leavesAgain: func(p *script) {
		p.atSend(1)
		p.release(1)
		p.wait(25 * time.Hour)
		p.between["leave"] = func() { p.leave(1) }
		p.leave(1)
	},
}

// atSend has the audience of a notice resolved when it leaves, tomorrow.
func (p *script) atSend(n int64) {
	p.tomorrow(n)
	p.memory.notice(n).Body.AudienceAt, p.memory.notice(n).Body.MaxRecipients = notice.AtSend, 1
}

func (p *script) leave(n int64) { _ = p.s.Leave(context.Background(), n, everybody) }
