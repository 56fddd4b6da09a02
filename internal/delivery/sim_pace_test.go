package delivery

import (
	"sync/atomic"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

// simPacer lets nothing leave for some spans of time, or nothing to one domain, and has mails that are not urgent wait
// in others. The seed and the clock alone decide the spans. Where runs compete for one connection it does none of that,
// since they would wake at the same instant. A domain has to wait for so long that a run leaves it: whether a run makes
// room sooner depends on how many others there are at that instant.
type simPacer struct {
	world   *world
	refused atomic.Int64
	peace   atomic.Bool // no more of that; a timer can wake a run just when the schedule says so
}

// dice is a number that depends on the seed and on which span of time it is.
func (p *simPacer) dice(salt uint64, span time.Duration) uint64 {
	x := p.world.pacing + salt + uint64(time.Since(simStart)/span)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (p *simPacer) Ask(domain string) (*pace.Leave, pace.Refusal) {
	const span = 7 * time.Second
	if d := p.dice(3+uint64((domain + ".")[0]), span); p.paces() && d%4 == 0 {
		p.refused.Add(1)
		return nil, pace.Refusal{Wait: lingers + span - time.Since(simStart)%span, Domain: true}
	}
	if d := p.dice(1, span); p.paces() && d%8 == 0 {
		p.refused.Add(1)
		wait := span - time.Since(simStart)%span
		return nil, pace.Refusal{Wait: wait * time.Duration(1+d/8%4)}
	}
	return &pace.Leave{}, pace.Refusal{}
}

func (p *simPacer) paces() bool { return !p.peace.Load() && p.world.options.Connections > 1 }

func (p *simPacer) Done(*pace.Leave, notice.Answer) {}
func (p *simPacer) Urgent(int, bool)                {}
func (p *simPacer) NoRelay() bool                   { return false }
func (p *simPacer) Yield() bool                     { return p.paces() && p.dice(2, 3*time.Second)%6 == 0 }
