package send

import (
	"reflect"
	"slices"
)

// SetRelays has the pool use these relays from now on, the most wanted first. A relay that stays as it is keeps its
// connections and its health. The connections of one that was changed, or is not there any more, are closed when the
// answer to the dot under way has come. Until then they count for the relay of the same name.
func (p *Pool) SetRelays(relays []Relay) {
	p.mu.Lock()
	old := p.relays
	p.relays = nil
	for _, r := range p.distinct(relays) {
		i := slices.IndexFunc(old, func(o *relayState) bool { return o.Name == r.Name })
		if i >= 0 && reflect.DeepEqual(old[i].Relay, r) {
			p.relays = append(p.relays, old[i])
			continue
		}
		state := newState(r)
		state.rest = p.restOf(r.Name)
		if i >= 0 {
			state.before, state.quota = old[i], old[i].quota
		}
		p.relays = append(p.relays, state)
	}
	for _, o := range old {
		if !slices.Contains(p.relays, o) {
			p.retire(o)
		}
	}
	end := p.rematch()
	p.mu.Unlock()
	end()
}

// retire has a relay get no jobs any more; the caller holds the mutex.
func (p *Pool) retire(r *relayState) {
	r.retired = true
	if r.probe != nil {
		r.probe.Stop()
	}
	r.leaveIdle()
}

// held is how many connections count for a relay; the caller holds the pool's mutex.
func (r *relayState) held() int {
	if r.before != nil && r.before.held() == 0 {
		r.before = nil
	}
	if r.before == nil {
		return r.busy
	}
	return r.busy + r.before.held()
}
