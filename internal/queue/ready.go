package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
	"tocsin/internal/redisurl"
)

// errElecting says that Sentinels have yet to agree on the primary, or to make it one.
var errElecting = errors.New("ask Redis: the server that Sentinels name is a replica; a failover may be under way")

// Ready reports why Redis can't be used now. It is away; or it is, as a notice.Unready, too old, of another kind than
// the URL says, or a replica, or it evicts. Of a Cluster every primary is asked.
func (q *Queue) Ready(ctx context.Context) error {
	infos, err := q.infos(ctx)
	if err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	for _, text := range infos {
		info := fields(text)
		if text == "" {
			continue // its user may not ask
		}
		if q.kind == redisurl.Sentinel && isReplica(info) {
			return errElecting
		}
		var f notice.Findings
		if checkVersion(&f, info) {
			checkRole(&f, q.kind, info)
			checkEviction(&f, info)
		}
		for _, one := range f {
			if one.Level == notice.LevelError {
				return notice.Unready("Redis: " + one.Message + "; " + one.Advice)
			}
		}
	}
	return nil
}

// infos returns the answer to INFO of each server that is written to, "" where the user may not ask.
func (q *Queue) infos(ctx context.Context) (texts []string, err error) {
	var mu sync.Mutex
	ask := func(ctx context.Context, server interface {
		Info(context.Context, ...string) *redis.StringCmd
		Ping(context.Context) *redis.StatusCmd
	}) error {
		text, err := server.Info(ctx).Result()
		if err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
			text, err = "", server.Ping(ctx).Err()
		}
		mu.Lock()
		defer mu.Unlock()
		texts = append(texts, text)
		return err
	}
	if cluster, ok := q.redis.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, server *redis.Client) error { return ask(ctx, server) })
		if err != nil && isNoCluster(err) {
			err = notice.Unready("Redis: " + noCluster + "; " + noClusterAdvice)
		}
		return texts, err
	}
	return texts, ask(ctx, q.redis)
}
