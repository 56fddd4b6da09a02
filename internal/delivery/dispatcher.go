package delivery

import (
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
	// Urgent: so many more, or fewer, runs have urgent mails that could go if others made room. soon: such mails may
	// come again at once.
	Urgent(runs int, soon bool)
	Yield() bool   // mails that are not urgent have to wait for such mails
	NoRelay() bool // no mail can go: operators let all relays rest, or their quotas are used up
}

// unpaced lets everything go.
type unpaced struct{}

func (unpaced) Ask(string) (*pace.Leave, pace.Refusal) { return &pace.Leave{}, pace.Refusal{} }
func (unpaced) Done(*pace.Leave, notice.Answer)        {}
func (unpaced) Urgent(int, bool)                       {}
func (unpaced) Yield() bool                            { return false }
func (unpaced) NoRelay() bool                          { return false }

const (
	// lingers is how long a run keeps a task's place with mails that may not go yet, where nothing else could use it.
	// makesRoom is how long it does where other chunks may wait for the place.
	lingers   = 5 * time.Second
	makesRoom = 200 * time.Millisecond
	// asides is the most lines that wait for their domains without a task's place. Together they have mails for as long
	// as others rest. So a domain at its limit never waits for a chunk to come again.
	asides = 64
	// A chunk that was given back comes again after so long.
	restsLeast, restsMost = 5 * time.Second, 30 * time.Second
	// And after so long where no relay takes mails.
	restsWithoutRelay = time.Second
	// How soon a line that makes room for urgent mails looks again.
	yieldFor = 20 * time.Millisecond
	// How long after its domains' limits have held it up an urgent run waits like any other: its mails go no sooner for
	// others' waiting.
	standsInLine = 100 * time.Millisecond
	// So many deliveries of a chunk are begun in a row: marks that lie close together cost the ledger least.
	inARow = 16
)

// pending is a delivery that was not begun, with its parsed address or the error of parsing it.
type pending struct {
	ledger.Due
	to    audience.Address
	wrong error
}

// lane has the deliveries of a run for one domain.
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

// standing is a line's relation to the task's place that its chunk came with.
type standing uint8

const (
	resting standing = iota // the place is given back, and the rest of the line is put back when nothing of it is under way
	placed                  // it has the place
	aside                   // the place is given back, and the line is worked on along with those that have one
)

// line is a run as the dispatcher sees it: the deliveries of a claim that were not begun.
type line struct {
	lanes   []*lane
	urgent  bool
	stands  standing
	begun   int           // in a row
	since   time.Time     // it came to the front for the first time, or again after a rest
	until   time.Time     // nothing of it is begun before: its domains' limits, or a rest
	waited  time.Duration // how long it was told to wait while others may want its place, or it has none
	limited time.Time     // its domains' limits last held it up until then
	held    bool          // only its domains' limits hold it up
	hungry  bool          // and everybody else was told so
}

// dispatcher decides which delivery goes next: urgent ones first, then chunk by chunk, domain by domain, each when it may.
// It starts nothing, waits for nothing and reads no clock.
type dispatcher struct {
	pacer  Pacer
	places int        // tasks at once, of those that are urgent and of the others
	lines  [2][]*line // in turn; those that are not urgent, and those that are
}

// step is the next thing to do.
type step struct {
	line  *line
	due   pending
	leave *pace.Leave   // due is to be begun
	aside bool          // the task's place of line is given back, and line stays
	rest  time.Duration // the rest of line is to be put back for so long, unless more of it can be begun under its claim then
	wait  time.Duration // nothing is to be done before, unless something changes; below zero: nothing at all
}

// place is the index of a sort of lines.
func place(urgent bool) int {
	if urgent {
		return 1
	}
	return 0
}

// add takes a line in. It gives its task's place back when all of it is begun or put back.
func (d *dispatcher) add(l *line, now time.Time) {
	l.stands, l.since, l.limited = placed, now, now
	d.lines[place(l.urgent)] = append(d.lines[place(l.urgent)], l)
}

// remove forgets a line: all of it is begun, or nothing more of it is to be.
func (d *dispatcher) remove(l *line) {
	d.makeWay(l, false, true)
	lines := &d.lines[place(l.urgent)]
	for i, other := range *lines {
		if other == l {
			*lines = append((*lines)[:i], (*lines)[i+1:]...)
			return
		}
	}
}

// next returns the next step. free: a delivery could be begun.
func (d *dispatcher) next(now time.Time, free bool) step {
	wait := time.Duration(-1)
	for urgent := 1; urgent >= 0; urgent-- {
		yields := urgent == 0 && len(d.lines[0]) > 0 && d.pacer.Yield()
		for i := 0; i < len(d.lines[urgent]); i++ {
			l := d.lines[urgent][i]
			var s step
			switch {
			case now.Before(l.until):
				s.wait = l.until.Sub(now)
			case yields:
				s = d.yield(l, now)
			case !free:
				s.wait = d.standInLine(l, now)
			default:
				s = d.try(l, now)
			}
			if s.leave != nil || s.rest > 0 || s.aside {
				return s
			}
			if s.wait >= 0 && (wait < 0 || s.wait < wait) {
				wait = s.wait
			}
			if free && !yields && s.line != nil { // the relay's limit, and so everybody's
				return step{wait: wait}
			}
		}
	}
	return step{wait: wait}
}

// try asks for the next delivery of a line that may go.
func (d *dispatcher) try(l *line, now time.Time) step {
	due, leave, refusal := d.ask(l, now)
	switch {
	case leave != nil:
		l.held = false
		if d.turn(l); len(l.lanes) == 0 {
			d.remove(l)
		}
		return step{line: l, due: due, leave: leave}
	case refusal.NoRelay: // a worker that has another relay may take it
		d.makeWay(l, false, false)
		return d.putBack(l, now, restsWithoutRelay)
	case !refusal.Domain:
		l.held = false
		if now.Sub(l.limited) >= standsInLine {
			d.makeWay(l, true, true)
		}
	default:
		l.held = true
		l.limited = now.Add(refusal.Wait)
		d.makeWay(l, false, false)
	}
	crowded := refusal.Domain && l.stands == placed && d.count(l.urgent, placed) > d.places
	homeless := l.stands == resting
	switch {
	case refusal.Wait > lingers:
		return d.putBack(l, now, min(refusal.Wait, restsMost))
	case crowded && l.waited > d.patience(l, now):
		if d.count(false, aside)+d.count(true, aside) < asides {
			l.stands, l.until = aside, now.Add(refusal.Wait)
			return step{line: l, aside: true}
		}
		return d.putBack(l, now, restOf(l.lanes, refusal))
	case homeless && l.waited > d.patience(l, now):
		return d.putBack(l, now, refusal.Wait)
	case crowded || homeless:
		l.waited += refusal.Wait
	}
	if refusal.Domain {
		l.until = now.Add(refusal.Wait)
		return step{wait: refusal.Wait}
	}
	return step{line: l, wait: refusal.Wait}
}

// ask takes the next delivery that may go. Where none may, it returns the shortest wait.
func (d *dispatcher) ask(line *line, now time.Time) (due pending, leave *pace.Leave, least pace.Refusal) {
	for i, l := range line.lanes {
		refusal := l.told
		if refusal.Wait = l.until.Sub(now); refusal.Wait <= 0 {
			if leave, refusal = d.pacer.Ask(l.domain); leave != nil {
				due, l.due = l.due[0], l.due[1:]
				line.lanes = append(line.lanes[:i], line.lanes[i+1:]...)
				if len(l.due) > 0 {
					line.lanes = append(line.lanes, l) // the others first
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

// turn lets others have their turn when a line has begun several in a row; after each where limits are shared.
func (d *dispatcher) turn(l *line) {
	if l.begun++; l.begun%inARow != 0 && !l.limited.After(l.since) {
		return
	}
	lines := d.lines[place(l.urgent)]
	for i, other := range lines {
		if other == l {
			copy(lines[i:], lines[i+1:])
			lines[len(lines)-1] = l
			return
		}
	}
}

// yield has a line wait for urgent mails, or puts it back when that takes long.
func (d *dispatcher) yield(l *line, now time.Time) step {
	if l.waited > lingers {
		return d.putBack(l, now, restsLeast)
	}
	l.waited += yieldFor
	l.until = now.Add(yieldFor)
	return step{wait: yieldFor}
}

// standInLine has a line wait until a delivery can be begun. An urgent line has others make room when that takes long.
func (d *dispatcher) standInLine(l *line, now time.Time) (wait time.Duration) {
	if !l.urgent || l.hungry {
		return -1
	}
	if wait = l.limited.Add(standsInLine).Sub(now); wait <= 0 {
		d.makeWay(l, true, true)
		return -1
	}
	return wait
}

// putBack has a line rest, and takes its task's place away.
func (d *dispatcher) putBack(l *line, now time.Time, rest time.Duration) step {
	d.makeWay(l, false, true)
	l.stands, l.held = resting, false
	l.until, l.waited = now.Add(rest), 0
	l.since, l.limited = l.until, l.until
	return step{line: l, rest: rest}
}

// askAgain has every domain asked for anew: its limit is another one.
func (d *dispatcher) askAgain() {
	for _, lines := range d.lines {
		for _, line := range lines {
			line.until = time.Time{}
			for _, l := range line.lanes {
				l.until = time.Time{}
			}
		}
	}
}

// count is how many lines of a sort stand so.
func (d *dispatcher) count(urgent bool, s standing) (n int) {
	for _, l := range d.lines[place(urgent)] {
		if l.stands == s {
			n++
		}
	}
	return n
}

// patience is how long a line may wait for domains while other chunks may wait for its place. It is the longer the more
// time the line took, as long as most places are put to use: the mails that it leaves have to be claimed again.
func (d *dispatcher) patience(l *line, now time.Time) time.Duration {
	held := 0
	for _, lines := range d.lines {
		for _, other := range lines {
			if other != l && other.held && other.stands == placed {
				held++
			}
		}
	}
	if held >= d.places/2 {
		return makesRoom
	}
	return max(makesRoom, now.Sub(l.since)/5)
}

// makeWay tells the pacer whether an urgent line has mails that all others should make room for, and if not, whether
// such may come soon.
func (d *dispatcher) makeWay(l *line, please, soon bool) {
	if !l.urgent || l.hungry == please {
		return
	}
	if l.hungry = please; please {
		d.pacer.Urgent(1, soon)
	} else {
		d.pacer.Urgent(-1, soon)
	}
}

// restOf is how long a chunk rests where many may wait for the same domain. It is as long as its next mail has to wait,
// or a few times as long as its mails would take if it had the domain to itself.
func restOf(lanes []*lane, refusal pace.Refusal) time.Duration {
	left := 0
	for _, l := range lanes {
		left += len(l.due)
	}
	return min(max(refusal.Wait, 4*time.Duration(left)*refusal.Interval, restsLeast), restsMost)
}
