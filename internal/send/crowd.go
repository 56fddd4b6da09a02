package send

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"time"
)

// roomier is how long it takes until one connection more is tried of a relay that asked for fewer.
const roomier = time.Minute

// crowdedText is how relays say that there are too many connections at once.
var crowdedText = regexp.MustCompile(`(?i)\btoo many (\w+ ){0,2}(connections|sessions)\b|` +
	`\b(concurrent|simultaneous|parallel)\b.{0,20}\b(connections?|sessions?)\b|\b(connections?|sessions?) (count )?limit\b`)

// crowded reports whether a reply, to anything but AUTH, asks for fewer connections.
func (r reply) crowded() bool {
	return r.code == 432 || r.code >= 400 && r.code < 500 && crowdedText.MatchString(r.text)
}

// isCrowded reports whether a relay refused a connection because there are too many.
func isCrowded(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.step == "greeting" && r.crowded()
}

// crowd has a relay get no more connections than it has now or is about to have, without those that it refused. After
// that it gets one more each minute. The caller holds the mutex.
func (p *Pool) crowd(r *relayState, refused int) {
	r.most, r.crowdedAt = max(1, r.busy-refused), time.Now()
	p.o.Logger.LogAttrs(context.Background(), slog.LevelInfo, "relay takes fewer connections",
		slog.String("relay", r.Name), slog.Int("connections", r.most))
}

// limit is how many connections a relay may have now; the caller holds the pool's mutex.
func (r *relayState) limit() int {
	if r.crowdedAt.IsZero() {
		return r.Connections
	}
	return min(r.Connections, r.most+int(time.Since(r.crowdedAt)/roomier))
}

// tooMany closes a connection that the relay says is one too many, gives its mail to another, and reports whether it
// did so. A mail that has moved often stays where there is no other.
func (c *conn) tooMany(p *Pool, t *task) bool {
	p.mu.Lock()
	others := c.relay.busy - c.relay.opening - 1
	stays := t.moves >= maxMoves && others < 1
	if !stays {
		p.crowd(c.relay, 1)
	}
	p.mu.Unlock()
	if stays {
		return false
	}
	c.surplus = true
	t.moves++
	p.requeue(t)
	return true
}
