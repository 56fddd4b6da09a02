package api

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func TestATokenIsShownOnceAndActsInItsName(t *testing.T) {
	t.Parallel()
	b := withKeys(t)
	fresh, err := b.client.AddToken(t.Context(), "oncall", notice.RoleSender, nil)
	if err != nil || len(fresh.Secret) < 30 || fresh.CreatedBy != pressed {
		t.Fatalf("%+v, %v", fresh, err)
	}
	if _, text := b.send(t, "GET", "/v1/tokens", ""); !strings.Contains(text, `"oncall"`) || strings.Contains(text, fresh.Secret) {
		t.Errorf("listed: %s", text)
	}
	hers, err := NewClient(b.http.URL, fresh.Secret, "tocsin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hers.Draft(t.Context(), body("k")); err != nil || b.who != "oncall (tocsin)" {
		t.Errorf("acted as %q: %v", b.who, err)
	}
	if _, err := hers.Tokens(t.Context()); err == nil || !strings.Contains(err.Error(), "role is sender, and this wants admin") {
		t.Errorf("got %v", err)
	}
	if _, err := b.client.RevokeToken(t.Context(), "oncall"); err != nil {
		t.Fatal(err)
	}
	if _, err := hers.Draft(t.Context(), body("k")); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("with a revoked token: %v", err)
	}
	if log := b.log.String(); strings.Contains(log, fresh.Secret) {
		t.Errorf("the token is logged: %s", log)
	}
}

func TestATokenThatCannotBe(t *testing.T) {
	t.Parallel()
	b := withKeys(t)
	gone := time.Now().Add(-time.Minute)
	for name, tt := range map[string]struct {
		role    notice.TokenRole
		expires *time.Time
	}{
		"tocsin": {notice.RoleSender, nil}, "Tocsin_Token": {notice.RoleSender, nil}, "API": {notice.RoleSender, nil},
		"": {notice.RoleSender, nil}, "a b": {notice.RoleSender, nil}, "a(b)": {notice.RoleSender, nil}, "é": {notice.RoleSender, nil},
		"fine": {"root", nil}, "over": {notice.RoleSender, &gone},
	} {
		if _, err := b.client.AddToken(t.Context(), name, tt.role, tt.expires); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestATokenEnds(t *testing.T) {
	t.Parallel()
	b := withKeys(t)
	gone := time.Now().Add(-time.Second)
	b.keys[0].ExpiresAt = &gone
	resp, text := b.send(t, "GET", "/v1/notices", "", "Authorization", "Bearer viewer")
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "expired") {
		t.Errorf("status %d: %s", resp.StatusCode, text)
	}
}

func TestKnownTokensHoldWhileTheLedgerIsAway(t *testing.T) {
	t.Parallel()
	b := withKeys(t)
	b.send(t, "GET", "/metrics", "", "Authorization", "Bearer metrics")
	b.fail = io.ErrUnexpectedEOF
	b.server.keys.stale()
	if resp, text := b.send(t, "GET", "/metrics", "", "Authorization", "Bearer metrics"); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d: %s", resp.StatusCode, text)
	}
	if resp, text := b.send(t, "GET", "/metrics", "", "Authorization", "Bearer other"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("another token: status %d: %s", resp.StatusCode, text)
	}
}

// TestOnLoopbackTheFirstTokenEndsTheOpenness has no token in the settings.
func TestOnLoopbackTheFirstTokenEndsTheOpenness(t *testing.T) {
	t.Parallel()
	b := withKeys(t, func(o *Options) { o.Tokens = nil })
	keys := b.keys
	b.keys, b.fail = nil, io.ErrUnexpectedEOF
	status := func(path string) int {
		resp, _ := b.send(t, "GET", path, "", "Authorization", "")
		return resp.StatusCode
	}
	if got := status("/v1/notices"); got != http.StatusServiceUnavailable {
		t.Errorf("status %d while nobody knows whether there is a token", got)
	}
	if got := status("/metrics"); got != http.StatusOK {
		t.Errorf("metrics: status %d while nobody knows whether there is a token", got)
	}
	b.fail = nil
	b.server.keys.stale()
	if got := status("/v1/notices"); got != http.StatusOK {
		t.Errorf("status %d without any token", got)
	}
	revoked := time.Now()
	for i := range keys {
		keys[i].RevokedAt = &revoked
	}
	b.keys = keys
	b.server.keys.stale()
	for _, path := range []string{"/v1/notices", "/metrics"} {
		if got := status(path); got != http.StatusUnauthorized {
			t.Errorf("%s: status %d where every token was revoked", path, got)
		}
	}
}

func TestAWrongTokenSlowsTheNextWrongOneAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answered := make(chan error, 4)
	for range cap(answered) {
		go func() {
			wrong, err := NewClient(b.http.URL, "wrong", "")
			if err == nil {
				_, err = wrong.Status(context.Background(), "k", 0)
			}
			answered <- err
		}()
	}
	<-answered // the first is not slowed
	if _, err := b.client.Draft(t.Context(), body("k")); err != nil {
		t.Error(err)
	}
	if len(answered) == cap(answered)-1 {
		t.Error("all wrong tokens were answered before a right one")
	}
	for range cap(answered) - 1 {
		if err := <-answered; err == nil || !strings.Contains(err.Error(), "TOCSIN_TOKEN") {
			t.Errorf("got %v", err)
		}
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 9, 3, 0, 0, 0, time.UTC)
	throttle := throttle{seen: map[netip.Prefix]wrongs{}}
	one, same, other := origin("192.0.2.1:1"), origin("192.0.2.1:2"), origin("192.0.2.2:1")
	for i, want := range []time.Duration{0, 100, 300, 700, 1500, 3100, 6300} { // one after the other, with gaps that double
		if got, ok := throttle.queue([]netip.Prefix{one, same}[i%2], now); !ok || got != want*time.Millisecond {
			t.Errorf("wrong token %d waits %v, %v", i+1, got, ok)
		}
	}
	throttle.queue(one, now) // at 11.3 s
	if _, ok := throttle.queue(one, now); ok {
		t.Error("a wrong token may stand in line for longer than ten seconds")
	}
	if got, _ := throttle.queue(other, now); got != 0 {
		t.Errorf("another address waits %v", got)
	}
	if got, _ := throttle.queue(one, now.Add(20*time.Minute)); got != 0 {
		t.Errorf("after a pause it waits %v", got)
	}
	if origin("[2001:db8::1]:1") != origin("[2001:db8::2]:1") || origin("[::ffff:192.0.2.1]:1") != one {
		t.Error("addresses of one host are taken for several")
	}
	for i := range 3 * addresses {
		throttle.queue(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), now)
	}
	if len(throttle.seen) > addresses {
		t.Errorf("%d addresses are remembered", len(throttle.seen))
	}
}

func TestNobodyPassesForTocsin(t *testing.T) {
	t.Parallel()
	token := caller{name: "oncall", role: notice.RoleSender}
	for _, tt := range []struct {
		who        caller
		note, want string
	}{
		{token, "", "oncall"},
		{token, "ada@laptop", "oncall (ada@laptop)"},
		{token, "tocsin", "oncall (tocsin)"},
		{caller{}, "ada@laptop", "ada@laptop"},
		{caller{}, "", "api"},
		{caller{}, "tocsin", "api (tocsin)"},
		{caller{}, "Tocsin (x)", "api (Tocsin (x))"},
		{caller{}, "Reader", "api (Reader)"},
	} {
		got := actor(tt.who, tt.note)
		if name, _ := notice.SplitActor(got); got != tt.want || strings.EqualFold(name, notice.System) || strings.EqualFold(name, notice.Reader) {
			t.Errorf("%+v with the note %q is %q, want %q", tt.who, tt.note, got, tt.want)
		}
	}
}

func TestTheLogComesInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := int64(5); n > 0; n-- {
		b.acts = append(b.acts, notice.Act{Number: n, Who: "oncall", What: "release", Notice: "k"})
	}
	var numbers []int64
	for p := (notice.ActPage{Limit: 2}); ; {
		acts, next, err := b.client.Acts(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range acts {
			numbers = append(numbers, a.Number)
		}
		if p.Before = next; next == 0 {
			break
		}
	}
	if len(numbers) != 5 || numbers[4] != 1 {
		t.Errorf("got %v", numbers)
	}
	if acts, _, err := b.client.Acts(t.Context(), notice.ActPage{Limit: 2, Notice: "other"}); err != nil || len(acts) > 0 {
		t.Errorf("%v, %v", acts, err)
	}
}
