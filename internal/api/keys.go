package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"strings"
	"sync"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// caller is the one who asks: the name of a token, and how much it may do.
type caller struct {
	name string // "" where there is no token at all
	role notice.TokenRole
	// person says that they signed in to the console, and show no token.
	person bool
}

// has says for a refusal where the role of the caller comes from.
func (c caller) has() string {
	if c.person {
		return "your role"
	}
	return "this token's role"
}

// keys knows the tokens: those of the settings, and those of the ledger, of which it keeps a copy for a second. While the
// ledger can't be asked, the last copy holds: metrics are wanted most then.
type keys struct {
	fixed [][32]byte // SHA-256 of each token of the settings
	load  func(ctx context.Context) ([]ledger.Key, error)
	log   *slog.Logger

	mu     sync.Mutex
	known  map[[32]byte]ledger.Key // nil: never read
	asked  time.Time
	failed error // of the last time
}

// How old the copy may be: for a token that is in it, and for one that is not, which may be new.
const (
	copyKeeps  = time.Second
	copyMisses = 100 * time.Millisecond
)

// find returns the caller with a token, and why there is none.
func (k *keys) find(ctx context.Context, token string) (who caller, refusal string) {
	sum, fixed := sha256.Sum256([]byte(strings.TrimSpace(token))), 0
	for _, f := range k.fixed {
		fixed |= subtle.ConstantTimeCompare(sum[:], f[:]) // equal time for all
	}
	if fixed == 1 {
		return caller{name: notice.FixedToken, role: notice.RoleAdmin}, ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refresh(ctx, copyKeeps)
	key, known := k.known[sum]
	if !known {
		k.refresh(ctx, copyMisses)
		key, known = k.known[sum]
	}
	switch {
	case !known:
		return caller{}, "this token is not known here"
	case key.RevokedAt != nil:
		return caller{}, "this token was revoked"
	case key.ExpiresAt != nil && !key.ExpiresAt.After(time.Now()):
		return caller{}, "this token has expired"
	}
	return caller{name: key.Name, role: key.Role}, ""
}

// needed reports whether there is a token, be it one that was revoked; an error where the ledger was never read.
func (k *keys) needed(ctx context.Context) (bool, error) {
	if len(k.fixed) > 0 {
		return true, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refresh(ctx, copyKeeps)
	if k.known == nil {
		return false, k.failed
	}
	return len(k.known) > 0, nil
}

// stale has the next caller look at the ledger again.
func (k *keys) stale() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = time.Time{}
}

func (k *keys) refresh(ctx context.Context, age time.Duration) {
	if k.load == nil {
		k.known = map[[32]byte]ledger.Key{}
		return
	}
	if time.Since(k.asked) < age {
		return
	}
	// The one who asks may go; the others who wait want the answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	all, err := k.load(ctx)
	k.asked = time.Now()
	if err != nil {
		if k.failed == nil {
			k.log.Warn("the tokens can't be read; those that were known still hold", slog.String("error", scrub(err.Error())))
		}
		k.failed = err
		return
	}
	k.failed, k.known = nil, make(map[[32]byte]ledger.Key, len(all))
	for _, key := range all {
		k.known[key.Hash] = key
	}
}
