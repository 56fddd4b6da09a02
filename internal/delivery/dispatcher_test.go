package delivery

import (
	"fmt"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

// refusing is a pacer that refuses some domains, or with "" everything, and notes who was told to make room.
type refusing struct {
	refuses map[string]pace.Refusal
	yield   bool
	hungry  int
}

func (p *refusing) Ask(domain string) (*pace.Leave, pace.Refusal) {
	for _, d := range []string{"", domain} {
		if r, ok := p.refuses[d]; ok {
			return nil, r
		}
	}
	return &pace.Leave{}, pace.Refusal{}
}
func (p *refusing) Done(*pace.Leave, notice.Answer) {}
func (p *refusing) Urgent(runs int, _ bool)         { p.hungry += runs }
func (p *refusing) Yield() bool                     { return p.yield }
func (p *refusing) NoRelay() bool                   { return p.refuses[""].NoRelay }

// lineOf is a line of addresses.
func lineOf(urgent bool, addresses ...string) *line {
	var due []ledger.Due
	for i, a := range addresses {
		due = append(due, ledger.Due{Seq: i, Recipient: notice.Recipient{Address: a}})
	}
	return &line{lanes: lanesOf(due), urgent: urgent}
}

func TestWhatIsDoneNext(t *testing.T) {
	t.Parallel()
	limit := func(wait time.Duration) pace.Refusal { return pace.Refusal{Wait: wait, Domain: true} }
	for _, c := range []struct {
		name    string
		refuses map[string]pace.Refusal
		yield   bool
		lines   []*line
		full    bool // no delivery can be begun
		after   time.Duration
		want    string
		hungry  int
	}{
		{name: "nothing is owed", want: "wait -1ns"},
		{name: "the first of a line", lines: []*line{lineOf(false, "a@x.example", "b@x.example")}, want: "begin a@x.example"},
		{name: "what is urgent first", lines: []*line{lineOf(false, "a@x.example"), lineOf(true, "b@x.example")}, want: "begin b@x.example"},
		{name: "a domain that has to wait is passed over", refuses: map[string]pace.Refusal{"x.example": limit(time.Second)},
			lines: []*line{lineOf(false, "a@x.example", "b@y.example")}, want: "begin b@y.example"},
		{name: "a line that has to wait is passed over", refuses: map[string]pace.Refusal{"x.example": limit(time.Second)},
			lines: []*line{lineOf(true, "a@x.example"), lineOf(false, "b@y.example")}, want: "begin b@y.example"},
		{name: "all have to wait, for the shortest", refuses: map[string]pace.Refusal{"x.example": limit(3 * time.Second), "y.example": limit(2 * time.Second)},
			lines: []*line{lineOf(false, "a@x.example"), lineOf(false, "b@y.example")}, want: "wait 2s"},
		{name: "the relay's limit is everybody's", refuses: map[string]pace.Refusal{"": {Wait: time.Second}},
			lines: []*line{lineOf(false, "a@x.example"), lineOf(false, "b@y.example")}, want: "wait 1s"},
		{name: "a long limit is rested out", refuses: map[string]pace.Refusal{"x.example": limit(10 * time.Second)},
			lines: []*line{lineOf(false, "a@x.example")}, want: "rest 10s"},
		{name: "nobody rests for too long", refuses: map[string]pace.Refusal{"x.example": limit(time.Hour)},
			lines: []*line{lineOf(false, "a@x.example")}, want: "rest 30s"},
		{name: "all relays rest: another worker may have one", refuses: map[string]pace.Refusal{"": {Wait: time.Millisecond, NoRelay: true}},
			lines: []*line{lineOf(true, "a@x.example")}, want: "rest 1s"},
		{name: "no place is free", full: true, lines: []*line{lineOf(false, "a@x.example")}, want: "wait -1ns"},
		{name: "no place is free for what is urgent", full: true, lines: []*line{lineOf(true, "a@x.example")}, want: "wait 100ms"},
		{name: "no place is free for what has been urgent for a while", full: true, after: standsInLine,
			lines: []*line{lineOf(true, "a@x.example")}, want: "wait -1ns", hungry: 1},
		{name: "the relay's limit holds up what has been urgent for a while", refuses: map[string]pace.Refusal{"": {Wait: time.Second}},
			after: standsInLine, lines: []*line{lineOf(true, "a@x.example")}, want: "wait 1s", hungry: 1},
		{name: "its domain's limit asks nobody to make room", refuses: map[string]pace.Refusal{"x.example": limit(time.Second)},
			after: standsInLine, lines: []*line{lineOf(true, "a@x.example")}, want: "wait 1s"},
		{name: "another worker's urgent mails go first", yield: true, lines: []*line{lineOf(false, "a@x.example")}, want: "wait 20ms"},
		{name: "but not before our own", yield: true, lines: []*line{lineOf(false, "a@x.example"), lineOf(true, "b@x.example")}, want: "begin b@x.example"},
	} {
		p := &refusing{refuses: c.refuses, yield: c.yield}
		d := &dispatcher{pacer: p, places: 4}
		now := time.Now()
		for _, l := range c.lines {
			d.add(l, now)
		}
		s := d.next(now.Add(c.after), !c.full)
		got := fmt.Sprint("wait ", s.wait)
		if s.leave != nil {
			got = "begin " + s.due.Recipient.Address
		} else if s.rest > 0 {
			got = fmt.Sprint("rest ", s.rest)
		}
		if got != c.want || p.hungry != c.hungry {
			t.Errorf("%s: %s, want %s; %d are urgent, want %d", c.name, got, c.want, p.hungry, c.hungry)
		}
	}
}

func TestDomainsAndChunksTakeTurns(t *testing.T) {
	t.Parallel()
	d := &dispatcher{pacer: unpaced{}, places: 4}
	now := time.Now()
	one := lineOf(false, append(addresses(inARow, "x.example"), addresses(2, "y.example")...)...)
	other := lineOf(false, "z@z.example")
	d.add(one, now)
	d.add(other, now)
	var order []string
	for range inARow + 3 {
		s := d.next(now, true)
		order = append(order, s.due.to.Domain)
	}
	for i, domain := range order {
		want := "x.example"
		switch i {
		case 1, 3:
			want = "y.example"
		case inARow:
			want = "z.example"
		}
		if domain != want {
			t.Errorf("delivery %d goes to %s, want %s: %v", i, domain, want, order)
			break
		}
	}
}

// TestWhatYieldsForLongIsPutBack: a line that yields for longer than it may keep a task's place is put back.
func TestWhatYieldsForLongIsPutBack(t *testing.T) {
	t.Parallel()
	p := &refusing{yield: true}
	d := &dispatcher{pacer: p, places: 4}
	now := time.Now()
	l := lineOf(false, "a@x.example")
	d.add(l, now)
	for waited := time.Duration(0); ; waited += yieldFor {
		s := d.next(now.Add(waited), true)
		if s.rest > 0 {
			if s.rest != restsLeast || waited <= lingers || waited > lingers+2*yieldFor || l.stands != resting {
				t.Errorf("rests for %v after %v, as %d", s.rest, waited, l.stands)
			}
			return
		}
		if waited > time.Minute {
			t.Fatal("it waits for ever")
		}
	}
}

// TestCrowdedLinesAreSetAside: lines that wait for limits do not keep places that others may want. They are worked on
// without one. Too many are put back.
func TestCrowdedLinesAreSetAside(t *testing.T) {
	t.Parallel()
	p := &refusing{refuses: map[string]pace.Refusal{"x.example": {Wait: 150 * time.Millisecond, Domain: true}}}
	d := &dispatcher{pacer: p, places: 1}
	now := time.Now()
	for range asides + 2 {
		d.add(lineOf(false, "a@x.example"), now)
	}
	set, looks := 0, 0
	for looks < 3 {
		switch s := d.next(now.Add(time.Duration(looks)*150*time.Millisecond), true); {
		case s.aside:
			set++
		case s.rest > 0 && (looks != 2 || set != asides || s.rest != restsLeast):
			t.Fatalf("rests for %v at look %d, when %d are set aside", s.rest, looks, set)
		case s.rest == 0:
			looks++
		}
	}
	if set != asides || d.count(false, placed) != 1 {
		t.Errorf("%d are set aside, and %d have a place", set, d.count(false, placed))
	}
	p.refuses = nil
	if s := d.next(now.Add(time.Minute), true); s.leave == nil {
		t.Error("nothing of those is begun")
	}
}

// metered is a pacer that lets one mail pass in each interval, to any domain.
type metered struct {
	unpaced
	now, next time.Time
	every     time.Duration
}

func (p *metered) Ask(string) (*pace.Leave, pace.Refusal) {
	if wait := p.next.Sub(p.now); wait > 0 {
		return nil, pace.Refusal{Wait: wait, Interval: p.every, Domain: true}
	}
	p.next = p.now.Add(p.every)
	return &pace.Leave{}, pace.Refusal{}
}

// TestALimitedDomainIsNeverIdle has more chunks of one domain than places. Each chunk comes again after its rest.
func TestALimitedDomainIsNeverIdle(t *testing.T) {
	t.Parallel()
	const chunks, places = 30, 4
	p := &metered{now: time.Now(), every: 10 * time.Millisecond}
	d := &dispatcher{pacer: p, places: places}
	var queue []*line
	for range chunks {
		queue = append(queue, lineOf(false, addresses(256, "x.example")...))
	}
	resting, seen := map[*line]time.Time{}, map[*line]bool{}
	begin, sent := p.now, 0
	for p.now.Sub(begin) < chunks*256*p.every {
		for l, until := range resting {
			if !p.now.Before(until) {
				delete(resting, l)
				queue = append(queue, l)
			}
		}
		for len(queue) > 0 && d.count(false, placed) < places+1 {
			d.add(queue[0], p.now)
			seen[queue[0]] = true
			queue = queue[1:]
		}
		switch s := d.next(p.now, true); {
		case s.leave != nil:
			sent++
		case s.rest > 0:
			d.remove(s.line)
			resting[s.line] = p.now.Add(s.rest)
		case !s.aside:
			p.now = p.now.Add(max(s.wait, time.Millisecond))
		}
	}
	if sent < chunks*256*98/100 {
		t.Errorf("%d mails were begun, and %d could have been", sent, chunks*256)
	}
	if len(seen) < chunks {
		t.Errorf("only %d of %d chunks were looked at", len(seen), chunks)
	}
}
