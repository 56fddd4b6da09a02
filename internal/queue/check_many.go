package queue

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
	"tocsin/internal/redisurl"
)

// leastSentinels is how many have to be there for one to be missed: a majority elects the one that fails over.
const leastSentinels = 3

// checkSentinels asks each Sentinel, and returns the addresses of the primary and of its replicas.
func checkSentinels(ctx context.Context, f *notice.Findings, servers *redisurl.Servers) []string {
	var failed notice.Findings
	found := map[string]bool{}     // servers
	primaries := map[string]bool{} // by Sentinels
	var last map[string]string
	for _, addr := range servers.Hosts {
		watcher := servers.Watcher(addr, trying)
		master, err := watcher.Master(ctx, servers.Master).Result()
		if err == nil {
			last = master
			primary := net.JoinHostPort(master["ip"], master["port"])
			primaries[primary], found[primary] = true, true
			var replicas []map[string]string
			replicas, err = watcher.Replicas(ctx, servers.Master).Result()
			for _, r := range replicas {
				found[net.JoinHostPort(r["ip"], r["port"])] = true
			}
		}
		if err == nil {
			err = watcher.CkQuorum(ctx, servers.Master).Err()
		}
		watcher.Close()
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "No such master"):
			failed.Error("write the name that sentinel monitor has in its settings: redis+sentinel://host/name", "the Sentinel at %s watches no master of the name %q", addr, servers.Master)
		case strings.HasPrefix(err.Error(), "NOQUORUM"):
			failed.Error("start the Sentinels that are away", "the Sentinel at %s finds too few others: nobody would take over from a primary that dies", addr)
		default:
			refused(&failed, "the Sentinel at "+addr, err)
		}
	}
	if last != nil {
		others, _ := strconv.Atoi(last["num-other-sentinels"])
		f.OK("Sentinel: the primary of %s is %s, replicas: %d; %d Sentinels with a quorum of %s", servers.Master,
			strings.Join(slices.Sorted(maps.Keys(primaries)), " or "), len(found)-len(primaries), others+1, last["quorum"])
		if others+1 < leastSentinels {
			f.Warning("run three, on machines of their own", "there are fewer than %d Sentinels: where one is away nobody may take over from a primary that dies", leastSentinels)
		}
		if len(found) < 2 {
			f.Warning("add a replica", "%s has no replica: nobody takes over from it", servers.Master)
		}
	}
	if len(primaries) > 1 {
		f.Error("wait for a failover to end; if it lasts, see that the Sentinels reach each other", "the Sentinels disagree on the primary")
	}
	if len(servers.Hosts) == 1 {
		f.Warning("name all of them: redis+sentinel://host,host,host/master", "REDIS_URL names one Sentinel: while it is away, the primary can't be found")
	}
	*f = append(*f, failed...)
	return slices.Sorted(maps.Keys(found))
}

// allSlots is how many slots a Cluster has.
const allSlots = 16384

// checkCluster asks a Cluster for its nodes, and returns their addresses.
func checkCluster(ctx context.Context, f *notice.Findings, client redis.UniversalClient, servers *redisurl.Servers) (all []string) {
	slots, err := client.ClusterSlots(ctx).Result()
	if err != nil {
		refused(f, "the Cluster at "+servers.String(), err)
		return nil
	}
	served, replicas := 0, map[string][]string{} // by primary
	for _, s := range slots {
		served += s.End - s.Start + 1
		if len(s.Nodes) == 0 {
			continue
		}
		primary := s.Nodes[0].Addr
		replicas[primary] = nil
		for _, n := range s.Nodes[1:] {
			replicas[primary] = append(replicas[primary], n.Addr)
		}
	}
	var alone []string
	for _, primary := range slices.SortedFunc(maps.Keys(replicas), cmp.Compare) {
		all = append(append(all, primary), replicas[primary]...)
		if len(replicas[primary]) == 0 {
			alone = append(alone, primary)
		}
	}
	f.OK("Redis Cluster: %d primaries and %d replicas", len(replicas), len(all)-len(replicas))
	if served < allSlots {
		f.Error("see redis-cli --cluster check, and fix", "%d of %d slots are served by no node", allSlots-served, allSlots)
	} else if state, err := client.ClusterInfo(ctx).Result(); err == nil && fields(state)["cluster_state"] == "fail" {
		f.Error("see redis-cli --cluster check, and start the nodes that are away", "the Cluster takes no commands: its state is fail")
	}
	if len(alone) > 0 {
		f.Warning("add a replica to each: redis-cli --cluster add-node … --cluster-slave", "no replica takes over from %s: when one dies, so do the queues on it", strings.Join(alone, ", "))
	}
	return all
}
