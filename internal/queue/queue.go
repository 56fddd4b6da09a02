// Package queue names, through asynq and Redis, the chunk to look at next. It carries ids only and promises nothing: a
// task may run twice, late or never. The ledger alone decides which work is done, and its sweep puts back lost tasks.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"tocsin/internal/redisurl"
)

// The queues, each with handlers of its own: none waits for the end of the others' tasks.
const (
	urgent = "urgent"
	chunks = "chunks" // all others
)

// typeChunk is the type of tasks that have a chunk worked.
const typeChunk = "chunk"

// retries is how often asynq hands out a task again after its worker vanished. It is large: a task that runs out of
// them is archived and keeps its id. The ledger knows which is worth another attempt.
const retries = 1000

// timeout bounds a task. asynq would cut it off at 30 minutes by default; nothing may cut off a chunk that waits
// for a relay.
const timeout = 24 * time.Hour

type payload struct {
	ID int64 `json:"id"`
}

// Queue enqueues tasks, and hands them to a Server.
type Queue struct {
	redis  redis.UniversalClient
	kind   redisurl.Kind
	client *asynq.Client
	logger *slog.Logger
}

// Open returns the queue at a Redis URL, as package redisurl reads it. It does not connect: Redis may be away, now or later.
func Open(url string, logger *slog.Logger) (*Queue, error) {
	// asynq asks again at once when Redis is away; the pauses keep that from spinning.
	client, servers, err := redisurl.Open(url, redisurl.Tuning{"dial_timeout": "2s", "max_retries": "2", "min_retry_backoff": "100ms", "max_retry_backoff": "1s"})
	if err != nil {
		return nil, err
	}
	redis.SetLogger(redisLogger{logger}) // one for the process: the library has no other
	return &Queue{redis: client, kind: servers.Kind, client: asynq.NewClientFromRedisClient(client), logger: logger}, nil
}

// Close ends the connections.
func (q *Queue) Close() error { return q.redis.Close() }

// EnqueueChunk asks for a chunk to be worked, an urgent one before all others. While a task of the same chunk and
// generation exists, it does nothing.
func (q *Queue) EnqueueChunk(ctx context.Context, id int64, generation string, first bool) error {
	if first {
		return q.enqueue(ctx, urgent, typeChunk, id, generation)
	}
	return q.enqueue(ctx, chunks, typeChunk, id, generation)
}

func (q *Queue) enqueue(ctx context.Context, queue, kind string, id int64, generation string) error {
	p, err := json.Marshal(payload{ID: id})
	if err != nil {
		return fmt.Errorf("encode the payload: %w", err)
	}
	_, err = q.client.EnqueueContext(ctx, asynq.NewTask(kind, p), asynq.Queue(queue),
		asynq.TaskID(fmt.Sprintf("%s:%d:%s", kind, id, generation)), asynq.MaxRetry(retries), asynq.Timeout(timeout))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue %s %d: %w", kind, id, err)
	}
	return nil
}

// Handlers do the tasks. They run on after asynq has given up on them, so they must not depend on being alone.
// An error has the task handed out again.
type Handlers struct {
	Chunk func(id int64) error
}

// Serve starts to take tasks, at most so many of each queue at once: an urgent one does not wait for the end of
// another. After a call of shutdown it takes no more. shutdown returns when those under way are done, or after the
// drain.
func (q *Queue) Serve(h Handlers, concurrency int, drain time.Duration) (shutdown func(), err error) {
	mux := asynq.NewServeMux()
	mux.HandleFunc(typeChunk, handle(h.Chunk))
	var servers []*asynq.Server
	shutdown = func() {
		var ending sync.WaitGroup
		for _, s := range servers {
			ending.Go(s.Shutdown)
		}
		ending.Wait()
	}
	for _, queue := range []string{urgent, chunks} {
		s := asynq.NewServerFromRedisClient(q.redis, asynq.Config{
			Concurrency:              concurrency,
			Queues:                   map[string]int{queue: 1},
			TaskCheckInterval:        100 * time.Millisecond,
			DelayedTaskCheckInterval: time.Second,
			RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Second },
			ShutdownTimeout:          drain,
			Logger:                   logger{q.logger},
			LogLevel:                 asynq.WarnLevel,
		})
		if err := s.Start(mux); err != nil {
			shutdown()
			return nil, fmt.Errorf("start to take tasks: %w", err)
		}
		servers = append(servers, s)
	}
	return shutdown, nil
}

// handle adapts a handler. It leaves asynq's context aside: that ends when Redis is away for a while or the worker
// drains. Neither may cut off an SMTP transaction.
func handle(f func(id int64) error) asynq.HandlerFunc {
	return func(_ context.Context, t *asynq.Task) error {
		var p payload
		if err := json.Unmarshal(t.Payload(), &p); err != nil || p.ID == 0 {
			return fmt.Errorf("task of type %s without an id: %w", t.Type(), asynq.SkipRetry)
		}
		return f(p.ID)
	}
}

// logger lets asynq log through slog.
type logger struct{ *slog.Logger }

func (l logger) Debug(args ...any) { l.Logger.Debug("queue", text(args)) }
func (l logger) Info(args ...any)  { l.Logger.Info("queue", text(args)) }
func (l logger) Warn(args ...any)  { l.Logger.Warn("queue", text(args)) }
func (l logger) Error(args ...any) { l.Logger.Error("queue", text(args)) }
func (l logger) Fatal(args ...any) { l.Logger.Error("queue", text(args)) }

// redisLogger lets go-redis log through slog. All that it says comes back as errors too.
type redisLogger struct{ *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	l.DebugContext(ctx, "redis", slog.String("detail", fmt.Sprintf(format, args...)))
}

func text(args []any) slog.Attr {
	return slog.String("detail", strings.TrimSpace(fmt.Sprint(args...)))
}
