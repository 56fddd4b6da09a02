package delivery

import (
	"context"
	"time"
)

// dispatch begins deliveries, as the dispatcher says, until life ends. It is the only one that does; it asks nobody
// anything that takes time.
func (w *Worker) dispatch(life context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for life.Err() == nil {
		wait := w.step()
		var due <-chan time.Time
		if wait == 0 {
			continue
		}
		if wait > 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-life.Done():
		case <-w.kick:
		case <-due:
		}
	}
}

// step carries out the next step of the dispatcher, and returns how long there is nothing to do; below zero: until
// something changes.
func (w *Worker) step() (wait time.Duration) {
	w.mu.Lock()
	now := time.Now()
	s := w.dispatcher.next(now, w.open < w.places)
	if s.leave == nil && s.rest == 0 && !s.aside {
		w.mu.Unlock()
		return s.wait
	}
	r := w.runs[s.line]
	r.progress = now
	if s.leave != nil {
		r.underway++
		w.open++
	}
	w.look(r)
	w.mu.Unlock()
	if s.aside { // the chunks that the last sweep brought may be among those
		w.sweepSoon()
	}
	if s.leave != nil {
		w.submit(newJob(w, r, s.due, s.leave))
	}
	return 0
}

// submit hands a job to the sender. A signature takes up to a millisecond of a core: all cores make them. The mark of a
// mail is not asked for before its mail is signed, so that none waits for one. There are at most as many as places.
func (w *Worker) submit(j *job) {
	if w.Sign == nil {
		w.sender.Submit(j)
		return
	}
	go func() {
		if m, ok := j.Mail(); ok {
			j.made = &m
			w.sender.Submit(j)
		}
	}()
}

// wake has the dispatcher look again.
func (w *Worker) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}
