package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// child is a process of the demo: this program, with another command.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   logTail
	asked atomic.Bool   // its end was asked for
	ended chan struct{} // closed once it has ended
}

// start starts a process that ends when the demo does. Should it end of itself, the demo fails.
func (s *stage) start(name string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, cmd: exec.Command(self, args...), ended: make(chan struct{})}
	c.cmd.Env = s.env
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	// In a group of its own: a Ctrl-C is for the demo, which then ends its processes in order.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithUs(c.cmd.SysProcAttr)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		err := c.cmd.Wait()
		if !c.asked.Load() {
			s.fail(fmt.Errorf("%s ended by itself (%v); its last words:\n%s", name, err, c.log.String()))
		}
		close(c.ended)
	}()
	return c, nil
}

// kill is kill -9.
func (c *child) kill() {
	c.asked.Store(true)
	c.cmd.Process.Kill()
	<-c.ended
}

// stop asks the process to end, and kills it when it takes too long.
func (c *child) stop() {
	c.asked.Store(true)
	c.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(4 * time.Second)
	defer patience.Stop()
	select {
	case <-c.ended:
	case <-patience.C:
		c.kill()
	}
}

// logTail keeps the end of a process's output.
type logTail struct {
	mu   sync.Mutex
	text []byte
}

func (l *logTail) Write(p []byte) (int, error) {
	const most = 2000
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - most; over > 0 {
		l.text = bytes.Clone(l.text[over:])
	}
	return len(p), nil
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.TrimSpace(l.text))
}
