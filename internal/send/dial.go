package send

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// A probe waits so long for the greeting (RFC 5321 §4.5.3.2.1); no mail does.
	greetingTimeout = 5 * time.Minute
	// The next address of a relay is tried while one has not come as far as a login within this time. Its share of the
	// time that there is may end sooner.
	nextAddress = 3 * time.Second
	// An address that failed is tried behind the others for so long.
	badFor = time.Minute
)

// attempt is the outcome of one address of a relay.
type attempt struct {
	address netip.Addr
	c       *conn
	err     error
}

// dial connects to a relay, secures and authenticates the connection. Where the relay's name has several addresses each
// is tried, along with those that keep it waiting. The first through which a login is possible is taken. On failure
// nothing stays open.
func (p *Pool) dial(ctx context.Context, r *relayState) (*conn, error) {
	addresses, err := p.addresses(ctx, r)
	if err != nil {
		return nil, err
	}
	first := p.spread(r, addresses)
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		r.aimed[first]--
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stagger := nextAddress
	if end, ok := ctx.Deadline(); ok {
		stagger = min(stagger, time.Until(end)/time.Duration(len(addresses)))
	}
	var won *conn
	var failed []attempt
	results := make(chan attempt)
	next := time.NewTimer(0)
	defer next.Stop()
	for running := 0; running+len(addresses) > 0; {
		begin := next.C
		if len(addresses) == 0 {
			begin = nil
		}
		select {
		case <-begin:
			a := addresses[0]
			addresses = addresses[1:]
			running++
			go func() {
				c, err := p.dialAddress(ctx, r, a)
				results <- attempt{a, c, err}
			}()
			next.Reset(stagger)
		case got := <-results:
			running--
			switch {
			case got.err == nil && won == nil:
				won = got.c
			case got.err == nil:
				got.c.raw.Close()
			default:
				failed = append(failed, got)
			}
			p.judge(r, got, won)
			if won != nil || final(got.err) {
				addresses = nil
				cancel() // the others
			}
			next.Reset(0)
		}
	}
	if won == nil {
		return nil, telling(failed)
	}
	return won, nil
}

// final reports whether the other addresses of a relay would say the same: that the password is wrong.
func final(err error) bool {
	_, login := errors.AsType[*authFailure](err)
	return login || errors.Is(err, errOpenLine) || errors.Is(err, errUnverified)
}

// telling is the error of the attempt that tells most: the first in which the relay said something, else the first.
func telling(failed []attempt) error {
	for _, a := range failed {
		if _, refused := errors.AsType[*refusal](a.err); refused || final(a.err) {
			return a.err
		}
	}
	return failed[0].err
}

// judge notes how an address did: one that failed, or that another overtook, goes behind the others for a time.
func (p *Pool) judge(r *relayState, a attempt, won *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case a.err == nil && a.c == won:
		delete(r.bad, a.address)
	default:
		r.bad[a.address] = time.Now()
	}
}

// addresses are those of a relay's name, of its family.
func (p *Pool) addresses(ctx context.Context, r *relayState) ([]netip.Addr, error) {
	found, err := p.o.dns.LookupNetIP(ctx, cmp.Or(r.Family, "ip"), r.Host)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no address", r.Host)
	}
	for i, a := range found {
		found[i] = a.Unmap()
	}
	return slices.Compact(found), nil
}

// spread puts the addresses of a relay into the order in which they are tried. First are those that did not fail
// lately, and of these the one with the fewest connections. It returns that one, and notes that a connection to it is
// aimed at.
func (p *Pool) spread(r *relayState, addresses []netip.Addr) (first netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := maps.Clone(r.aimed)
	for c := range p.conns {
		if c.relay == r {
			conns[c.address]++
		}
	}
	slices.SortStableFunc(addresses, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(r.failedLately(a), r.failedLately(b)), cmp.Compare(conns[a], conns[b]))
	})
	r.aimed[addresses[0]]++
	return addresses[0]
}

// failedLately is 1 for an address that did, else 0.
func (r *relayState) failedLately(a netip.Addr) int {
	if at, ok := r.bad[a]; ok && time.Since(at) < badFor {
		return 1
	}
	return 0
}

// dialAddress connects to one address of a relay.
func (p *Pool) dialAddress(ctx context.Context, r *relayState, a netip.Addr) (*conn, error) {
	// Without keep-alive: with it the kernel's limit would end the wait for an answer as well (tcp(7), TCP_USER_TIMEOUT).
	d := net.Dialer{Control: limitUnacknowledged, KeepAlive: -1, Timeout: p.o.ConnectTimeout}
	raw, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(a, uint16(r.Port)).String())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(past) })
	c, err := p.converse(ctx, r, raw)
	// Where stop comes too late the deadline may still be set behind the back of the first transaction.
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	c.address = a
	raw.SetDeadline(time.Time{})
	return c, nil
}
