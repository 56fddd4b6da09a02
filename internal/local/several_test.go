package local

import (
	"context"
	"net"
	"slices"
	"testing"
)

func TestSeveralRedisesEndTogether(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts servers: make test runs it")
	}
	for name, start := range map[string]func(context.Context) (*Redises, error){
		"Sentinel": func(ctx context.Context) (*Redises, error) { return StartSentinel(ctx, Several{}) },
		"Cluster":  func(ctx context.Context) (*Redises, error) { return StartCluster(ctx, Several{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			victim := r.Addrs[1]
			if err := r.Kill(victim); err != nil || listens(victim) {
				t.Errorf("the killed server listens: %v", err)
			}
			if err := r.Start(t.Context(), victim); err != nil || !listens(victim) {
				t.Errorf("the server that was started again does not listen: %v", err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			for addr := range r.servers {
				if listens(addr) {
					t.Errorf("%s outlives the others", addr)
				}
			}
			if len(r.servers) != map[string]int{"Sentinel": 5, "Cluster": 3}[name] || slices.ContainsFunc(r.Addrs, func(a string) bool { return r.servers[a] == nil }) {
				t.Errorf("servers: %v", r.servers)
			}
		})
	}
}

func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
