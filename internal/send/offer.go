package send

import (
	"context"
	"sync"
	"time"

	"tocsin/internal/notice"
)

const (
	offerLasts  = time.Minute     // how long a relay is not asked again
	offerWithin = 3 * time.Second // how long it has to answer
)

// Offers returns the extensions of the relays by which they take some mails and not others. The relays told them within
// the last minute, or tell them now. A relay that can't be asked has its last offer, or none.
func (p *Pool) Offers(ctx context.Context) []notice.Offer {
	all := make([]notice.Offer, len(p.relays))
	var asking sync.WaitGroup
	for i, r := range p.relays {
		asking.Go(func() { all[i] = p.offerOf(ctx, r) })
	}
	asking.Wait()
	return all
}

func (p *Pool) offerOf(ctx context.Context, r *relayState) notice.Offer {
	p.mu.Lock()
	offer, askedAt := r.offer, r.askedAt
	p.mu.Unlock()
	if !askedAt.IsZero() && time.Since(askedAt) < offerLasts {
		return offer
	}
	limited, cancel := context.WithTimeout(ctx, offerWithin)
	defer cancel()
	c, err := p.dial(limited, r)
	if err == nil {
		defer c.quit()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r.offered(c, err)
	if ctx.Err() != nil {
		r.askedAt = time.Time{} // the asker went away: that says nothing about the relay
	}
	return r.offer
}

// offered notes the offer of a connection to r, or why there is none; the caller holds the pool's mutex.
func (r *relayState) offered(c *conn, err error) {
	r.offer.Relay, r.askedAt = r.Name, time.Now()
	if err != nil {
		r.offer.Error = withoutAddresses(explain(err))
		return
	}
	r.offer = notice.Offer{Relay: r.Name, Known: true, SMTPUTF8: c.utf8, MaxSize: c.size}
}
