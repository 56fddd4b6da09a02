package pace

import "time"

// slots are the connections to a domain that this worker may use now.
type slots struct {
	limit   int // of all workers together
	granted int
	used    int       // mails under way
	heard   bool      // Redis said how many are granted
	wanted  time.Time // last by a mail that got none
}

// slot returns the slots of a domain; the caller holds the mutex.
func (p *Pacer) slot(domain string, limit int) *slots {
	s := p.slots[domain]
	if s == nil {
		s = &slots{used: p.domain(domain, time.Now()).under}
		p.slots[domain] = s
	}
	if limit < s.limit { // the others take no more than that either
		s.granted = min(s.granted, limit/max(1, p.workers))
	}
	s.limit = limit
	return s
}

// free reports whether one more mail may be under way.
func (s *slots) free(now time.Time) bool {
	if s.used < s.granted {
		return true
	}
	s.wanted = now
	return false
}

// wants is how many this worker would use.
func (s *slots) wants(now time.Time) int {
	if now.Sub(s.wanted) < late {
		return s.limit
	}
	return s.used
}
