package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = time.Minute      // to answer, the recovery after a crash included
	stopTimeout  = 20 * time.Second // to end by itself; then it is killed
)

// daemon is a server that runs as a process of ours.
type daemon struct {
	home             *home
	name             string // as the watchdog knows it
	argv             []string
	polite, headlong syscall.Signal // the signals that end it
	answers          func(context.Context) error

	mu      sync.Mutex
	process *process // nil while stopped
}

// settleTimeout is how long the remains of a server that died may keep its successor from starting. Postgres' children
// outlive it for a moment, and hold its shared memory.
const settleTimeout = 10 * time.Second

var errEnded = errors.New("it ended")

// start starts the server and waits until it answers.
func (d *daemon) start(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process != nil && d.process.running() {
		return nil
	}
	died := d.process != nil // nobody stopped it
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; {
		err := d.startOnce(ctx)
		if err == nil || !died || !errors.Is(err, errEnded) || time.Since(began) > settleTimeout {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (d *daemon) startOnce(ctx context.Context) error {
	p, err := d.home.spawn(d.name, d.headlong, d.argv)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	d.process = p
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = d.answers(ctx); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("start %s: %w: %v\n%s", d.name, errEnded, p.err, d.home.logTail(d.name))
		case <-ctx.Done():
			return fmt.Errorf("start %s: no answer: %w\n%s", d.name, err, d.home.logTail(d.name))
		case <-tick.C:
		}
	}
}

// stop ends the server and waits for it.
func (d *daemon) stop(ctx context.Context, immediate bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.process
	if p == nil {
		return nil
	}
	signal := d.polite
	if immediate {
		signal = d.headlong
	}
	if err := p.signal(signal); err != nil {
		return fmt.Errorf("stop %s: %w", d.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		if err := p.signal(syscall.SIGKILL); err != nil {
			return fmt.Errorf("stop %s: %w", d.name, err)
		}
		<-p.done
	}
	d.process = nil
	return nil
}

func (d *daemon) pid() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process == nil || !d.process.running() {
		return 0
	}
	return d.process.pid
}

// process is one run of a server.
type process struct {
	pid  int
	done chan struct{} // closed once it has ended and err is set
	err  error
}

// spawn starts a server that writes its output to a log in the directory.
func (h *home) spawn(name string, death syscall.Signal, argv []string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(h.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := h.command(argv...)
	cmd.Stdout, cmd.Stderr = log, log
	dieWithUs(cmd.SysProcAttr, death)
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends the signal of our death when the thread that forked ends, so that thread waits here.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		h.watch.tell(name, strconv.Itoa(p.pid))
		started <- nil
		p.err = cmd.Wait()
		h.watch.tell(name, "")
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	h.procs = append(h.procs, p)
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends to the process if it still is there.
func (p *process) signal(s syscall.Signal) error {
	if !p.running() {
		return nil
	}
	if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
