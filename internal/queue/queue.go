// Package queue says, through asynq and Redis, what to look at next. It carries ids only and promises nothing: a
// task may run twice, late or never. The ledger alone decides what is done, and its sweep puts back what is lost.
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

	"tocsin/internal/notice"
)

// The queues, each with handlers of its own: none waits for the end of what another has.
const (
	urgent = "urgent"
	chunks = "chunks" // all others
)

// typeChunk is the type of tasks that have a chunk worked.
const typeChunk = "chunk"

// retries is how often asynq hands out a task again whose worker vanished. It is large because a task that runs
// out of them is archived and keeps its id; what is worth another attempt the ledger knows.
const retries = 1000

// timeout bounds a task. asynq would cut it off at 30 minutes by default; nothing may cut off a chunk that waits
// for a relay.
const timeout = 24 * time.Hour

type payload struct {
	ID int64 `json:"id"`
}

// Queue enqueues tasks, and hands them to a Server.
type Queue struct {
	redis  *redis.Client
	client *asynq.Client
	logger *slog.Logger
}

// Open returns the queue at a Redis URL (redis://, rediss:// or unix://). It does not connect: Redis may be away,
// now or later.
func Open(url string, logger *slog.Logger) (*Queue, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("read the Redis URL: %w", err)
	}
	opts.DialTimeout = 2 * time.Second
	// asynq asks again at once when Redis is away; these keep that from spinning.
	opts.MaxRetries, opts.MinRetryBackoff, opts.MaxRetryBackoff, opts.DialerRetries = 2, 100*time.Millisecond, time.Second, 1
	redis.SetLogger(redisLogger{logger}) // one for the process: the library has no other
	client := redis.NewClient(opts)
	return &Queue{redis: client, client: asynq.NewClientFromRedisClient(client), logger: logger}, nil
}

// Close ends the connections.
func (q *Queue) Close() error { return q.redis.Close() }

// Ready reports why Redis can't be used now: it is away, or, as a notice.Unready, too old, a cluster, a replica, or it evicts.
func (q *Queue) Ready(ctx context.Context) error {
	text, err := q.redis.Info(ctx).Result()
	if err != nil && strings.HasPrefix(err.Error(), "NOPERM") {
		err = q.redis.Ping(ctx).Err() // its user may not ask
	}
	if err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	var f notice.Findings
	if info := fields(text); text != "" && checkVersion(&f, info) {
		checkRole(&f, info)
		checkEviction(&f, info)
	}
	for _, one := range f {
		if one.Level == notice.LevelError {
			return notice.Unready("Redis: " + one.Message + "; " + one.Advice)
		}
	}
	return nil
}

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

// Serve starts to take tasks, at most so many of each queue at once: what is urgent does not wait for the end of what is
// not. After shutdown is called it takes no more, and shutdown returns when those under way are done, or after the drain.
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

// handle adapts a handler. asynq's context is left aside: it ends when Redis is away for a while or the worker
// drains, and neither may cut off an SMTP transaction.
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

// redisLogger lets go-redis log through slog. What it says comes back as errors too.
type redisLogger struct{ *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	l.DebugContext(ctx, "redis", slog.String("detail", fmt.Sprintf(format, args...)))
}

func text(args []any) slog.Attr {
	return slog.String("detail", strings.TrimSpace(fmt.Sprint(args...)))
}
