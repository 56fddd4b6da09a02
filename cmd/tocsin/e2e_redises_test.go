package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/local"
	"tocsin/internal/redisurl"
	"tocsin/internal/testkit"
)

func TestANoticeThroughARedisCluster(t *testing.T) {
	t.Parallel()
	o, env := withTLS(t)
	throughRedises(t, testkit.RedisCluster(t, o), env)
}

func TestANoticeThroughSentinel(t *testing.T) {
	t.Parallel()
	o, env := withTLS(t)
	throughRedises(t, testkit.RedisSentinel(t, o), env)
}

// TestANoticeThroughValkey is skipped where there is no valkey-server, as in Debian 12.
func TestANoticeThroughValkey(t *testing.T) {
	t.Parallel()
	valkey, err := exec.LookPath("valkey-server")
	if err != nil {
		t.Skip("TestANoticeThroughValkey is skipped: there is no valkey-server here")
	}
	for name, start := range map[string]func(testing.TB, local.Several) *local.Redises{"Sentinel": testkit.RedisSentinel, "Cluster": testkit.RedisCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			throughRedises(t, start(t, local.Several{Program: valkey}))
		})
	}
}

// withTLS has servers speak TLS alone, with a certificate of an authority that a program trusts in this environment.
func withTLS(t *testing.T) (o local.Several, env string) {
	t.Helper()
	c := newCertificates(t)
	return local.Several{TLS: &c.valid, Authority: c.authority}, "SSL_CERT_FILE=" + c.authority
}

// throughRedises sends a notice within a rate: nothing would leave where the limits, or the queue, did not work there.
func throughRedises(t *testing.T, r *local.Redises, env ...string) {
	s, came := startLimitedOn(t, servicesOf(t, r), time.Second, limitedTo(500), env...)
	const n = 100
	s.mailboxes(n, func(i int) string { return fmt.Sprintf("m%d@example.com", i) })
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	if st := s.status("outage-1"); st.Counts["sent"] != n {
		t.Errorf("ended as %v, want all of %d sent", st.Counts, n)
	}
	onceEach(t, came, n)
	const untrusted = "does not verify"
	if said := s.says("check"); !strings.Contains(said, "noeviction") || strings.Contains(said, untrusted) {
		t.Errorf("check says\n%s", said)
	}
	if len(env) > 0 {
		s.env = slices.DeleteFunc(s.env, func(e string) bool { return slices.Contains(env, e) })
		if said := s.says("check"); strings.Contains(said, "noeviction") || !strings.Contains(said, untrusted) {
			t.Errorf("without the authority check says\n%s", said)
		}
	}
}

// says is all that a command of a process of its own writes.
func (s *system) says(args ...string) string {
	p := s.launch(args...)
	<-p.done
	return p.log.String()
}

func servicesOf(t *testing.T, r *local.Redises) *local.Services {
	t.Helper()
	return &local.Services{DatabaseURL: testkit.Postgres(t), RedisURL: r.URL}
}

func limitedTo(rate int) string {
	return fmt.Sprintf("relays:\n  - {name: main, url: \"smtp://RELAY\", rate: %d/s}\n", rate)
}

// onceEach fails the test unless n mailboxes have a mail each.
func onceEach(t *testing.T, came *arrivals, n int) {
	t.Helper()
	came.mu.Lock()
	mailboxes := len(came.to)
	came.mu.Unlock()
	if twice := came.twice(); mailboxes != n || twice != 0 {
		t.Errorf("%d mailboxes have the mail, want %d; %d have it twice", mailboxes, n, twice)
	}
}

// TestAClusterNodeDiesWhileANoticeIsSent kills the node that has the queue, then the one that has the limits. Their
// replicas take over.
func TestAClusterNodeDiesWhileANoticeIsSent(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestANoticeThroughARedisCluster")
	r := testkit.RedisCluster(t, local.Several{Replicas: 1})
	client, _, err := redisurl.Open(r.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	primary := func(key string) victim {
		return func(*arrivals) string {
			node, err := client.(*redis.ClusterClient).MasterForKey(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			return node.Options().Addr
		}
	}
	whileSending(t, r, nil, primary("asynq:{urgent}:pending"), primary("{tocsin:pace}:clock"))
}

// TestSentinelsFailOverWhileANoticeIsSent kills the primary twice; the first comes back in between as a replica.
func TestSentinelsFailOverWhileANoticeIsSent(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestANoticeThroughSentinel")
	o, env := withTLS(t)
	r := testkit.RedisSentinel(t, o)
	whileSending(t, r, []string{env}, func(*arrivals) string { return r.Addrs[0] }, func(*arrivals) string { return r.Addrs[1] })
}

// TestAFailoverThatLosesWritesDoublesNothing has a replica take over that has not followed its primary for some
// seconds: tasks that were done come back, others are lost.
func TestAFailoverThatLosesWritesDoublesNothing(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestANoticeThroughSentinel")
	r := testkit.RedisSentinel(t, local.Several{})
	do := func(addr string, command ...any) any {
		answer, err := r.Do(t.Context(), addr, command...)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	whileSending(t, r, nil, func(came *arrivals) string {
		primary, replica := r.Addrs[0], r.Addrs[1]
		do(replica, "CONFIG", "SET", "masterauth", "wrong")
		do(replica, "CLIENT", "KILL", "TYPE", "master")
		came.await(t, "outage-1", len(came.of("outage-1"))+2500)
		const tasks = "return #redis.call('KEYS', 'asynq:{urgent}:t:*')"
		if open, stale := do(primary, "EVAL", tasks, 0), do(replica, "EVAL", tasks, 0); open == stale {
			t.Errorf("the primary and the replica that is cut off both have %v tasks: nothing would be lost", open)
		}
		return primary
	})
}

// victim names the next server to be killed.
type victim func(*arrivals) string

// whileSending kills servers one after the other while a notice is being sent, and starts each again.
func whileSending(t *testing.T, r *local.Redises, env []string, victims ...victim) {
	const rate, n = 300, 12_000
	s, came := startLimitedOn(t, servicesOf(t, r), time.Second, limitedTo(rate), env...)
	s.mailboxes(n, func(i int) string { return fmt.Sprintf("m%d@example.com", i) })
	workers := []*program{s.work(), s.work()}
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	for i, victim := range victims {
		came.await(t, "outage-1", n*(1+2*i)/6)
		addr := victim(came)
		killed := time.Now()
		if err := r.Kill(addr); err != nil {
			t.Fatal(err)
		}
		for _, w := range workers {
			w.awaitLog(t, len(w.log.String()))
		}
		came.await(t, "outage-1", n*(2+2*i)/6)
		if err := r.Start(t.Context(), addr); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s was killed; longest time without a mail %v", addr, longestGap(came.of("outage-1"), killed))
	}
	s.await("outage-1", "finished", finished)
	if st := s.status("outage-1"); st.Counts["sent"] != n {
		t.Errorf("ended as %v, want all of %d sent: no worker died", st.Counts, n)
	}
	onceEach(t, came, n)
	// A busy machine has up to a second's worth leave late; a failover may pass the rate by 1.25 s of it.
	if most := beyond(came.of("outage-1"), rate); most > 2.25*rate {
		t.Errorf("%.0f mails came beyond the rate of %d/s", most, rate)
	}
}

// beyond is by how many mails a rate was passed at most, over any span of time.
func beyond(at []time.Time, rate float64) (most float64) {
	var ahead float64
	for i := range at {
		if i > 0 {
			ahead = max(0, ahead-rate*at[i].Sub(at[i-1]).Seconds())
		}
		ahead++
		most = max(most, ahead)
	}
	return most
}

// longestGap is the longest time between two mails from a moment on.
func longestGap(at []time.Time, from time.Time) (longest time.Duration) {
	for _, t := range at {
		if t.After(from) {
			longest, from = max(longest, t.Sub(from)), t
		}
	}
	return longest
}
