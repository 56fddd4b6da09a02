package delivery

import (
	"context"
	"log/slog"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

// Pacer says whether a mail may leave now, and if not, when; package pace implements it.
type Pacer interface {
	Ask(domain string) (*pace.Leave, pace.Refusal)
	Done(*pace.Leave, notice.Answer)
	// Urgent: so many more, or fewer, runs have urgent mails that could go if others made room; soon: such mails may
	// come again at once.
	Urgent(runs int, soon bool)
	Yield() bool // what is not urgent has to wait for such mails
}

// unpaced lets everything go.
type unpaced struct{}

func (unpaced) Ask(string) (*pace.Leave, pace.Refusal) { return &pace.Leave{}, pace.Refusal{} }
func (unpaced) Done(*pace.Leave, notice.Answer)        {}
func (unpaced) Urgent(int, bool)                       {}
func (unpaced) Yield() bool                            { return false }

// How long a task stays with mails that may not go yet.
const (
	lingers   = 5 * time.Second        // where nothing else could use its place
	makesRoom = 200 * time.Millisecond // where other chunks may wait for it
	// A chunk that was given back comes again after so long.
	restsLeast, restsMost = 5 * time.Second, 30 * time.Second
)

// pending is a delivery that was not begun, with its parsed address or what is wrong with that.
type pending struct {
	ledger.Due
	to    audience.Address
	wrong error
}

// lane is what a run has for one domain.
type lane struct {
	domain string
	due    []pending
	until  time.Time // it was told not to ask before,
	told   pace.Refusal
}

// lanesOf sorts deliveries by domain, and leaves them in their order within one.
func lanesOf(all []ledger.Due) (lanes []*lane) {
	by := map[string]*lane{}
	for _, due := range all {
		p := pending{Due: due}
		p.to, p.wrong = audience.ParseAddress(due.Recipient.Address)
		l := by[p.to.Domain]
		if l == nil {
			l = &lane{domain: p.to.Domain}
			by[l.domain] = l
			lanes = append(lanes, l)
		}
		l.due = append(l.due, p)
	}
	return lanes
}

// dispatch begins the attempts of a claim in a task's place.
func (r *run) dispatch(ctx context.Context) {
	var err error
	if r.program, err = r.notices.get(ctx, r.claim.NoticeID); err != nil {
		r.Logger.Error("prepare notice", slog.Int64("notice_id", r.claim.NoticeID), slog.Any("error", err))
		r.stopped.Store(true)
		return
	}
	r.urgent = r.program.Body.Urgent()
	running := &r.running[place(r.urgent)]
	running.Add(1)
	defer running.Add(-1)
	r.lanes = lanesOf(r.claim.Due)
	r.beginAll(ctx)
}

// beginAll begins what is left of a claim, each delivery when it may go: the domains take turns, and one that has to
// wait is passed over. It returns when all are begun, or what is left is to rest: that was not tried.
func (r *run) beginAll(ctx context.Context) {
	defer r.makeWay(false, true)
	began := time.Now()
	r.limited = began        // it may be that only its domain's limit holds it up
	var waited time.Duration // while another chunk could have had this one's place, or it has none
	for len(r.lanes) > 0 && !r.over() {
		if !r.urgent && r.Pacer.Yield() {
			if waited += r.nap(yieldFor); waited > lingers {
				r.claim.Rest = restsLeast
				return
			}
			continue
		}
		if !r.reserve() {
			return
		}
		if r.over() { // meanwhile
			r.unreserve()
			return
		}
		due, leave, refusal := r.next(&r.lanes)
		if leave != nil {
			r.unsettled.Add(1)
			r.attempts.Go(func() { r.attempt(ctx, due, leave) })
			continue
		}
		r.unreserve()
		if refusal.Domain {
			r.makeWay(false, false)
			r.limited = time.Now().Add(refusal.Wait)
		} else if time.Since(r.limited) >= standsInLine {
			r.makeWay(true, true)
		}
		crowded := refusal.Domain && int(r.running[place(r.urgent)].Load()) > r.Chunks
		if refusal.Wait > lingers || (crowded || r.aside) && waited > r.patience(began) {
			r.claim.Rest = min(refusal.Wait, restsMost)
			if crowded {
				r.claim.Rest = rest(r.lanes, refusal)
			}
			return
		}
		if d := r.await(refusal); crowded || r.aside {
			waited += d
		}
	}
}

// await waits as long as a refusal says, and returns how long that was.
func (r *run) await(refusal pace.Refusal) time.Duration {
	if refusal.Domain && !r.aside {
		r.waiting.Add(1)
		defer r.waiting.Add(-1)
	}
	return r.nap(refusal.Wait)
}

// patience is how long a run may wait for domains while other chunks may wait for its place: the longer the more time
// it took, as long as most places are put to use, since what it leaves has to be claimed again.
func (r *run) patience(began time.Time) time.Duration {
	if int(r.waiting.Load()) >= r.Chunks/2 {
		return makesRoom
	}
	return max(makesRoom, time.Since(began)/5)
}

// yieldFor is how soon a run that makes room for urgent mails looks again.
const yieldFor = 20 * time.Millisecond

// place is the index of a sort of runs.
func place(urgent bool) int {
	if urgent {
		return 1
	}
	return 0
}

// next takes the next delivery that may go. Where none may, it returns the shortest wait.
func (r *run) next(lanes *[]*lane) (due pending, leave *pace.Leave, least pace.Refusal) {
	now := time.Now()
	for i, l := range *lanes {
		refusal := l.told
		if refusal.Wait = l.until.Sub(now); refusal.Wait <= 0 {
			if leave, refusal = r.Pacer.Ask(l.domain); leave != nil {
				due, l.due = l.due[0], l.due[1:]
				*lanes = append((*lanes)[:i], (*lanes)[i+1:]...)
				if len(l.due) > 0 {
					*lanes = append(*lanes, l) // the others first
				}
				return due, leave, refusal
			}
		}
		if !refusal.Domain { // and so for every domain
			return due, nil, refusal
		}
		l.until, l.told = now.Add(refusal.Wait), refusal
		if least.Wait == 0 || refusal.Wait < least.Wait {
			least = refusal
		}
	}
	return due, nil, least
}

// rest is how long a chunk rests where many may wait for the same domain: as long as its next mail has to, or a few
// times what its mails would take if it had the domain to itself.
func rest(lanes []*lane, refusal pace.Refusal) time.Duration {
	left := 0
	for _, l := range lanes {
		left += len(l.due)
	}
	return min(max(refusal.Wait, 4*time.Duration(left)*refusal.Interval, restsLeast), restsMost)
}

// reserve waits for a connection's turn and for a place among the open marks; false: the worker drains.
func (r *run) reserve() bool {
	if !r.take(r.sending) {
		return false
	}
	if !r.take(r.writer.slots) {
		<-r.sending
		return false
	}
	return true
}

// unreserve gives back what nothing was begun with.
func (r *run) unreserve() {
	<-r.writer.slots
	<-r.sending
}

// take waits for one of some places. What is urgent has others make room when there is none, and keeps its place in the
// line.
func (r *run) take(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	said := make(chan struct{})
	inLine := time.AfterFunc(time.Until(r.limited.Add(standsInLine)), func() {
		r.makeWay(true, true)
		close(said)
	})
	defer func() {
		if !inLine.Stop() {
			<-said
		}
	}()
	select {
	case places <- struct{}{}:
		return true
	case <-r.draining:
		return false
	}
}

// standsInLine is how long after its domains' limits have held it up an urgent run waits like any other: its mails
// go no sooner for others' waiting.
const standsInLine = 100 * time.Millisecond

// makeWay says whether this run, if it is urgent, has mails that everything else is to make room for, and if not,
// whether such may come soon.
func (r *run) makeWay(please, soon bool) {
	if !r.urgent || r.hungry == please {
		return
	}
	if r.hungry = please; please {
		r.Pacer.Urgent(1, soon)
	} else {
		r.Pacer.Urgent(-1, soon)
	}
}

// nap waits, unless the worker drains, and returns how long.
func (r *run) nap(d time.Duration) time.Duration {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.draining:
	}
	return d
}
