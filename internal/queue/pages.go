package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
)

// Standing is how full a queue is. A chunk that is due has a task in it, until a worker has taken the task.
type Standing struct {
	Queue     string
	Pending   int           // tasks that wait for a worker
	Active    int           // that workers have
	Scheduled int           // with a time still to come
	Retry     int           // that failed, and are to be tried again
	Archived  int           // that failed too often; the sweep puts their chunks back
	Oldest    time.Duration // how long the oldest pending task has waited
	Processed int           // today (UTC)
	Failed    int           // of these
	Paused    bool
}

// Standing is how full the queues are, by their names.
func (q *Queue) Standing(ctx context.Context) (all []Standing, err error) {
	if err := q.redis.Ping(ctx).Err(); err != nil { // asynq's Inspector takes no context
		return nil, fmt.Errorf("ask Redis: %w", err)
	}
	inspector := asynq.NewInspectorFromRedisClient(q.redis) // it shares our connections, and is not closed
	names, err := inspector.Queues()
	if err != nil {
		return nil, fmt.Errorf("list the queues: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		i, err := inspector.GetQueueInfo(name)
		if err != nil {
			return nil, fmt.Errorf("look at queue %s: %w", name, err)
		}
		all = append(all, Standing{Queue: name, Pending: i.Pending, Active: i.Active, Scheduled: i.Scheduled, Retry: i.Retry, Archived: i.Archived,
			Oldest: i.Latency, Processed: i.Processed, Failed: i.Failed, Paused: i.Paused})
	}
	return all, nil
}
