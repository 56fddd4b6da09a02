package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// simSender is package send as the protocol sees it. Its connections take jobs from a queue, and send the envelope of
// the next along with a dot. They follow the rules of when the dot may be written.
type simSender struct {
	world *world
	actor *actor
	life  context.Context
	end   context.CancelFunc

	mu     sync.Mutex
	queue  []notice.Job
	idle   []idleLine // connections without a job, the last to become so last
	closed []string   // the relays to which connections may be opened yet
	halted bool
}

// idleLine is a connection that waits for a job.
type idleLine struct {
	relay string
	jobs  chan notice.Job
}

func (w *world) sender(a *actor) *simSender {
	s := &simSender{world: w, actor: a}
	for i := range w.lines {
		s.closed = append(s.closed, w.relays()[i%len(w.relays())])
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Submit gives a job to a connection, or has it wait for one; its mark may be asked for ahead.
func (s *simSender) Submit(j notice.Job) {
	if s.world.ahead {
		j.Ask()
	}
	s.mu.Lock()
	if s.halted {
		s.mu.Unlock()
		j.Done(notice.Answer{}, errNoRelay)
		return
	}
	s.queue = append(s.queue, j)
	s.match()
	s.mu.Unlock()
}

// requeue gives a job of which no dot was written to another connection, before all others.
func (s *simSender) requeue(j notice.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.Insert(s.queue, 0, j)
	s.match()
}

// match gives waiting jobs to connections; the caller holds the mutex.
func (s *simSender) match() {
	s.queue = slices.DeleteFunc(s.queue, func(j notice.Job) bool {
		for i, c := range slices.Backward(s.idle) {
			if s.fits(j, c.relay) {
				s.idle = slices.Delete(s.idle, i, i+1)
				c.jobs <- j
				return true
			}
		}
		for i, relay := range s.closed {
			if s.fits(j, relay) {
				s.closed = slices.Delete(s.closed, i, i+1)
				go s.connection(relay, j)
				return true
			}
		}
		return false
	})
}

// Halt ends the jobs that wait; a transaction under way ends when the seed says so.
func (s *simSender) Halt() {
	s.mu.Lock()
	s.halted = true
	left := s.queue
	s.queue = nil
	for _, c := range s.idle {
		close(c.jobs)
	}
	s.idle = nil
	s.mu.Unlock()
	s.end()
	for _, j := range left {
		j.Done(notice.Answer{}, errNoRelay)
	}
}

// take returns the next job for a connection to a relay; nil: there are none any more.
func (s *simSender) take(relay string) notice.Job {
	if j := s.poll(relay); j != nil {
		return j
	}
	s.mu.Lock()
	if s.halted {
		s.mu.Unlock()
		return nil
	}
	inbox := make(chan notice.Job, 1)
	s.idle = append(s.idle, idleLine{relay, inbox})
	s.mu.Unlock()
	return <-inbox
}

func (s *simSender) poll(relay string) notice.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.queue, func(j notice.Job) bool { return s.fits(j, relay) })
	if i < 0 {
		return nil
	}
	j := s.queue[i]
	s.queue = slices.Delete(s.queue, i, i+1)
	return j
}

// begin makes the exchange of a job; nil: the job is over already.
func (s *simSender) begin(j notice.Job, relay string) *exchange {
	if j.Refused() {
		j.Done(noDot("no leave to send"), nil)
		return nil
	}
	m, ok := j.Mail()
	if !ok {
		return nil
	}
	return &exchange{sender: s, job: j, relay: relay, at: j.(*job).at, ctx: s.life, mail: m}
}

// ask asks for the mark of a job, unless that was done ahead.
func (s *simSender) ask(j notice.Job) {
	if !j.(*job).asked() {
		j.Ask()
	}
}

// connection carries one job after the other. Where one is lost the next mail finds another in its place.
func (s *simSender) connection(relay string, j notice.Job) {
	for ; j != nil; j = s.take(relay) {
		x := s.begin(j, relay)
		if x == nil {
			continue
		}
		switch err := s.step(context.Background(), x, "envelope"); {
		case errors.Is(err, errDead):
			return
		case errors.Is(err, errOver):
			s.done(j, x.answer)
			continue
		case err != nil:
			j.Done(notice.Answer{}, err)
			continue
		}
		s.ask(j)
		for x != nil {
			var dead bool
			if x, dead = s.message(x); dead {
				return
			}
		}
	}
}

// step waits until the seed lets a transaction take its next step; it ends when the seed says so.
func (s *simSender) step(ctx context.Context, x *exchange, kind string) error {
	return s.world.park(&simCall{ctx: ctx, actor: s.actor, kind: kind, a: x.at.NoticeID<<32 + int64(x.at.Seq), b: x.at.Epoch, attempt: x})
}

// message sends a message and its dot, and returns the next exchange where the relay waits for its message.
func (s *simSender) message(x *exchange) (next *exchange, dead bool) {
	err := s.dot(x)
	if errors.Is(err, errDead) {
		return nil, true
	}
	if s.goesOn(x) {
		x.elsewhere, x.lost, x.answer = true, false, notice.Answer{}
		return x, false
	}
	if x.next = x.detach(s); x.next == nil {
		s.done(x.job, x.answer)
		return nil, false
	}
	next = x.next
	if s.world.memory.mutant == ringAnsweredAsOne && x.lost {
		next.answer = x.answer
	}
	s.done(x.job, x.answer)
	switch {
	case next.answer.Outcome != 0:
		s.done(next.job, next.answer)
	case x.lost:
		s.requeue(next.job)
	default:
		return next, false
	}
	return nil, false
}

// dot waits for the mark, and takes a message to its answer.
func (s *simSender) dot(x *exchange) error {
	for again := 0; ; again++ {
		var err error
		if s.world.memory.mutant == dotBeforeMark || x.elsewhere {
			x.until = time.Now().Add(simGrace)
		} else if x.until, err = x.job.Wait(s.life); err != nil {
			x.answer = noDot("no leave to send: " + err.Error())
			return s.step(context.Background(), x, "end")
		}
		if s.world.memory.mutant == dotAfterDeadline {
			x.until = x.until.Add(time.Hour)
		}
		if inTime(x.until) || again == 2 {
			break
		}
		s.world.mu.Lock()
		s.world.anew++
		s.world.mu.Unlock()
		x.job.Ask()
	}
	if err := s.step(context.Background(), x, "dot"); err != nil {
		return err
	}
	if x.pending {
		if err := s.step(context.Background(), x, "write"); err != nil {
			return err
		}
	}
	waiting, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	err := s.step(waiting, x, "answer")
	if errors.Is(err, context.DeadlineExceeded) {
		x.answer, x.lost = notice.Answer{Outcome: notice.OutcomeUncertain, Text: "the relay did not answer in time"}, true
		return s.step(context.Background(), x, "end")
	}
	return err
}

// overlap has the envelope of the next job go out with the dot of x.
func (s *simSender) overlap(x *exchange) {
	for {
		j := s.poll(x.relay)
		if j == nil {
			return
		}
		if next := s.begin(j, x.relay); next != nil {
			s.ask(j)
			x.next = next
			return
		}
	}
}

// withdraw gives the job behind the dot of x, which is not answered soon, to another connection.
func (s *simSender) withdraw(x *exchange) {
	s.mu.Lock()
	next := x.next
	x.next = nil
	s.mu.Unlock()
	if next != nil {
		s.requeue(next.job)
	}
}

// detach takes the job behind a dot, unless it was withdrawn.
func (x *exchange) detach(s *simSender) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.next
}
