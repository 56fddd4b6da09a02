package send

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// TestOnlyUnacknowledgedBytesEndAConnection: the kernel may give up on bytes that nobody acknowledges, and on nothing
// else. With keep-alive, TCP_USER_TIMEOUT would end the wait for the answer to a dot as well (tcp(7)).
func TestOnlyUnacknowledgedBytesEndAConnection(t *testing.T) {
	t.Parallel()
	p := pool(t, usual, serve(t, nil).relay())
	c, err := p.dial(t.Context(), p.relays[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.quit()
	option := func(level, name int) (value int) {
		failed := c.socket.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) })
		if failed != nil || err != nil {
			t.Fatal(failed, err)
		}
		return value
	}
	if option(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0 {
		t.Error("keep-alive is on")
	}
	if ms := option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); ms != int(userTimeout.Milliseconds()) {
		t.Errorf("TCP_USER_TIMEOUT is %d ms, want %s", ms, userTimeout)
	}
}

// TestAnAnswerOutlivesAnOutageOfTheNetwork loses every packet for longer than the TCP_USER_TIMEOUT while the answer to a
// dot is waited for.
func TestAnAnswerOutlivesAnOutageOfTheNetwork(t *testing.T) {
	testkit.Large(t, "TestOnlyUnacknowledgedBytesEndAConnection")
	inside, err := testkit.Apart(t)
	if err != nil {
		t.Skip(err)
	}
	if !inside {
		return
	}
	back := make(chan struct{})
	s := serve(t, map[string]act{atDot: {say: "250 at last", after: back}})
	p := pool(t, usual, s.relay())
	go func() {
		for range time.Tick(time.Millisecond) { // the kernel gives no signal
			if s.dots.Load() > 0 && acknowledged(p) {
				break
			}
		}
		down := testkit.Loopback(false)
		<-time.After(userTimeout + 10*time.Second) // the outage, by the kernel's clock
		if err := errors.Join(down, testkit.Loopback(true)); err != nil {
			t.Error(err)
		}
		close(back)
	}()
	a, err := p.Send(t.Context(), mail, &permit{})
	if err != nil || a.Outcome != notice.OutcomeSent {
		t.Errorf("got %+v, %v", a, err)
	}
}

// acknowledged reports whether the other side's kernel has all that was written.
func acknowledged(p *Pool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := 0
	for c := range p.conns {
		c.socket.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err != nil || info.Unacked > 0 {
				open++
			}
		})
	}
	return open == 0
}
