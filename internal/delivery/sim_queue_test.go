package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/internal/queue"
)

// simQueue is the queue: it promises nothing.
type simQueue struct {
	world *world
	tasks map[string]*simTask // these fields are the schedule's alone, unlike those below

	mu      sync.Mutex
	away    bool
	serving []server   // since everybody last waited: who began to take tasks,
	came    []*simTask // the tasks that were enqueued,
	done    []doneTask // and those that were done
}

// server is a worker that takes tasks.
type server struct {
	by       *actor
	handlers queue.Handlers
	capacity int
}

// doneTask is a task of which the handler has returned.
type doneTask struct {
	task *simTask
	by   *actor
	err  error
}

type simTask struct {
	id     string
	number int64
	on     *actor // who has it; nil while it waits
}

var errQueueAway = errors.New("the queue can't be reached")

func (q *simQueue) EnqueueChunk(_ context.Context, id int64, generation string, _ bool) error {
	return q.enqueue(&simTask{id: fmt.Sprint("chunk:", id, ":", generation), number: id})
}

func (q *simQueue) setAway(away bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.away = away
}

func (q *simQueue) enqueue(t *simTask) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.away {
		return errQueueAway
	}
	q.came = append(q.came, t)
	return nil
}

// catchUp takes in the tasks that came, and then those that were done, since everybody last waited. Their order among
// themselves is not for the seed to say.
func (q *simQueue) catchUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.serving {
		s.by.handlers, s.by.capacity = s.handlers, s.capacity
	}
	for _, t := range q.came {
		if q.tasks[t.id] == nil {
			q.tasks[t.id] = t
		}
	}
	for _, d := range q.done {
		d.by.tasks--
		switch {
		case d.by.dead || q.tasks[d.task.id] != d.task || d.task.on != d.by:
		case d.err != nil:
			d.task.on = nil
		default:
			delete(q.tasks, d.task.id)
		}
	}
	q.serving, q.came, q.done = nil, nil, nil
}

// all returns the tasks that wait, or that somebody has, in the order of their ids.
func (q *simQueue) all(taken bool) (tasks []*simTask) {
	for _, t := range q.tasks {
		if (t.on != nil) == taken {
			tasks = append(tasks, t)
		}
	}
	slices.SortFunc(tasks, func(a, b *simTask) int { return strings.Compare(a.id, b.id) })
	return tasks
}

// hand gives a task to a worker.
func (q *simQueue) hand(t *simTask, a *actor) {
	t.on = a
	a.tasks++
	do := a.handlers.Chunk
	go func() {
		err := do(t.number)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.done = append(q.done, doneTask{t, a, err})
	}()
}

// orphan leaves the tasks of a worker that is gone: handed out again, or kept in its name for ever.
func (q *simQueue) orphan(a *actor) {
	for _, t := range q.all(true) {
		if t.on == a && q.world.rng.IntN(2) == 0 {
			t.on = nil
		}
	}
}

// simTasks is the queue as one worker has it.
type simTasks struct {
	*simQueue
	actor *actor
}

func (s *simTasks) EnqueueChunk(ctx context.Context, id int64, generation string, urgent bool) error {
	if s.world.isDead(s.actor) {
		return errDead
	}
	return s.simQueue.EnqueueChunk(ctx, id, generation, urgent)
}

func (s *simTasks) Serve(h queue.Handlers, concurrency int, _ time.Duration) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = append(s.serving, server{s.actor, h, concurrency})
	return func() {}, nil
}
