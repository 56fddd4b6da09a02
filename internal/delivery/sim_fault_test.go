package delivery

import (
	"slices"
	"testing/synctest"
	"time"

	"tocsin/internal/notice"
)

// disturb has one thing happen that nobody asked for, or that an operator did.
func (w *world) disturb() error {
	switch w.rng.IntN(16) {
	case 0, 1:
		a := w.workers[w.rng.IntN(len(w.workers))]
		w.fault("worker: crash")
		w.crash(a)
		w.start()
		return w.settle("crash", int64(a.n))
	case 2:
		a := w.workers[w.rng.IntN(len(w.workers))]
		w.fault("worker: told to stop")
		w.drain(a)
		return w.settle("drain", int64(a.n))
	case 3, 4, 5:
		return w.pause()
	case 6:
		w.fault("ledger: away for a while")
		w.down = time.Now().Add(time.Duration(1+w.rng.IntN(30)) * time.Second)
		return w.settle("ledger away")
	case 7:
		return w.disturbQueue()
	case 8:
		return w.takeLate()
	}
	w.decide()
	return w.settle("operator")
}

// pause has a worker stand still; one that is just about to write a dot is the likeliest.
func (w *world) pause() error {
	a := w.workers[w.rng.IntN(len(w.workers))]
	for _, c := range w.waiting() {
		if (c.kind == "dot" || c.kind == "write") && w.rng.IntN(2) == 0 {
			a = c.actor
		}
	}
	d := []time.Duration{25 * time.Second, 61 * time.Second, 130 * time.Second, 9 * time.Minute, 14 * time.Minute, 30 * time.Minute}[w.rng.IntN(6)]
	w.fault("worker: paused")
	a.asleep = time.Now().Add(d)
	return w.settle("pause", int64(a.n), int64(d))
}

// takeLate has the relay take a mail that it has had for a while.
func (w *world) takeLate() error {
	if late := w.relay.readable(); len(late) > 0 {
		w.fault("relay: took it late")
		w.relay.take(late[w.rng.IntN(len(late))])
	}
	return w.settle("relay took what it had")
}

func (w *world) disturbQueue() error {
	q := w.queue
	held, waiting := q.all(true), q.all(false)
	switch w.rng.IntN(5) {
	case 0:
		w.fault("queue: wiped")
		clear(q.tasks)
	case 1:
		w.fault("queue: away")
		q.setAway(true)
	case 2:
		q.setAway(false)
	case 3:
		if len(waiting) > 0 {
			w.fault("queue: a task lost")
			delete(q.tasks, waiting[w.rng.IntN(len(waiting))].id)
		}
	case 4:
		if len(held) > 0 {
			w.fault("queue: a task given out twice")
			held[w.rng.IntN(len(held))].on = nil
		}
	}
	return w.settle("queue")
}

// instants returns, in order, the times to come at which something runs out or falls due.
func (w *world) instants(now time.Time) (all []time.Time) {
	add := func(t time.Time) {
		if t.After(now) {
			all = append(all, t)
		}
	}
	for _, c := range w.memory.chunks {
		if c.open {
			add(c.leaseUntil)
			add(c.dueAt)
		}
		for seq := c.lo; seq < c.hi; seq++ {
			d := c.view(seq)
			add(d.dueAt)
			if d.state == notice.DeliveryUncertain && !w.calm {
				add(d.at.Add(simGate))
			}
		}
	}
	if w.rows != nil {
		for _, c := range w.rows.chunks {
			add(c.leaseUntil)
			add(c.dueAt)
			for _, d := range c.rows() {
				add(d.dotBy.Add(simGate))
			}
		}
	}
	for _, t := range w.checker.until {
		add(t)
	}
	for _, h := range w.memory.holds {
		if !h.removed {
			add(h.until)
		}
	}
	for _, n := range w.memory.notices {
		if n.State == notice.Scheduled {
			add(*n.SendAt)
		}
		if n.ExpiresAt != nil {
			add(*n.ExpiresAt)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// stop ends all goroutines of a schedule.
func (w *world) stop() {
	w.calm = true
	w.queue.setAway(true)
	w.mu.Lock()
	for _, a := range w.operators {
		a.dead = true
	}
	for _, c := range w.parked {
		if c.actor.worker == nil {
			c.reply <- errDead
		}
	}
	w.mu.Unlock()
	for _, a := range slices.Clone(w.workers) {
		w.crash(a)
	}
	synctest.Wait()
	time.Sleep(2 * w.options.Drain)
	for _, a := range w.gone {
		w.bury(a)
	}
}
