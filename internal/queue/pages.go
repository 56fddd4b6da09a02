package queue

import (
	"net/http"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// Pages returns asynqmon's pages, which show the queue to operators and let nobody change it. They are served at root.
func (q *Queue) Pages(root string) http.Handler {
	return asynqmon.New(asynqmon.Options{RootPath: root, RedisConnOpt: opened{q.redis}, ReadOnly: true})
}

// opened lets asynqmon use our connections; it is never closed, as they are.
type opened struct{ client redis.UniversalClient }

// MakeRedisClient returns the client that there is.
func (o opened) MakeRedisClient() any { return o.client }
