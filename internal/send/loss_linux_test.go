package send

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// The kernel may give up on bytes that nobody acknowledges, and on nothing else: with keep-alive, TCP_USER_TIMEOUT would
// end the wait for the answer to a dot as well (tcp(7)).
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

// lossy names the variable that has the test binary run itself in a network of its own.
const lossy = "TOCSIN_TEST_LOSSY"

// TestAnAnswerOutlivesAnOutageOfTheNetwork loses every packet for longer than the TCP_USER_TIMEOUT while the answer to a
// dot is waited for.
func TestAnAnswerOutlivesAnOutageOfTheNetwork(t *testing.T) {
	testkit.Large(t, "TestOnlyUnacknowledgedBytesEndAConnection")
	if os.Getenv(lossy) == "" {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestAnAnswerOutlivesAnOutageOfTheNetwork$", "-test.v")
		cmd.Env = append(os.Environ(), lossy+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		if os.IsPermission(err) {
			t.Skip("only root may have a network of its own")
		}
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	loopbackIs(t, true)
	back := make(chan struct{})
	s := serve(t, map[string]act{atDot: {say: "250 at last", after: back}})
	p := pool(t, usual, s.relay())
	go func() {
		for range time.Tick(time.Millisecond) { // the kernel gives no signal
			if s.dots.Load() > 0 && acknowledged(p) {
				break
			}
		}
		loopbackIs(t, false)
		<-time.After(userTimeout + 10*time.Second) // the outage, by the kernel's clock
		loopbackIs(t, true)
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

// loopbackIs switches the loopback interface on or off, which drops its packets.
func loopbackIs(t *testing.T, up bool) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err == nil {
		if up {
			lo.SetUint16(unix.IFF_UP)
		}
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
	}
	if err != nil {
		t.Errorf("loopback interface up, %v: %v", up, err)
	}
}
