package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/testkit"
)

// playDemo starts the demo as a process, on the servers that the tests use.
func playDemo(t *testing.T, stdout io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	testkit.NeedsServers(t)
	cmd := exec.Command(os.Args[0], append([]string{"demo"}, args...)...)
	cmd.Env = append(withoutSettings(os.Environ()), "TOCSIN_TEST_AS_PROGRAM=1")
	for _, name := range []string{"DATABASE_URL", "REDIS_URL"} {
		if url := os.Getenv("TOCSIN_TEST_" + name); url != "" {
			cmd.Env = append(cmd.Env, name+"="+url)
		}
	}
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

func TestTheDemoEndsWellAndFindsTheLedgerSound(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := playDemo(t, &out).Wait(); err != nil {
		t.Fatalf("the demo: %v\n%s", err, &out)
	}
	said := out.String()
	for _, want := range []string{"2,000 inserted, 0 rejected", "worker 1 is killed", "created false, 0 mails more", "nobody got two", "مرحبًا"} {
		if !strings.Contains(said, want) {
			t.Errorf("the demo does not say %q:\n%s", want, said)
		}
	}
	if n := strings.Count(said, "✓"); n != 5 {
		t.Errorf("%d findings hold, want 5:\n%s", n, said)
	}
	if strings.Contains(said, "\x1b") {
		t.Error("there are escape sequences in what is not written to a terminal")
	}
}

func TestHoweverTheDemoEndsNothingIsLeftRunning(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the children of a process are read from /proc")
	}
	for _, signal := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			read, write := io.Pipe()
			demo := playDemo(t, write)
			heard := make(chan []byte, 1)
			go func() {
				text := await(read, "notice send")
				heard <- text
				io.Copy(io.Discard, read)
			}()
			text := <-heard
			left := childrenOf(demo.Process.Pid)
			if len(left) < 3 {
				t.Errorf("the demo has only %d children while it sends:\n%s", len(left), text)
			}
			demo.Process.Signal(signal)
			err := demo.Wait()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || signal == syscall.SIGTERM && exit.ExitCode() != exitFailed {
				t.Errorf("the demo ended with %v", err)
			}
			deadline := time.NewTimer(20 * time.Second)
			defer deadline.Stop()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for _, pid := range left {
				for syscall.Kill(pid, 0) == nil && len(statOf(pid)) > 0 && statOf(pid)[0] != "Z" {
					select {
					case <-tick.C:
					case <-deadline.C:
						t.Fatalf("process %d of the demo is still running", pid)
					}
				}
			}
		})
	}
}

// await reads until a text has come, or the end.
func await(r io.Reader, text string) (read []byte) {
	buffer := make([]byte, 1024)
	for {
		n, err := r.Read(buffer)
		read = append(read, buffer[:n]...)
		if err != nil || bytes.Contains(read, []byte(text)) {
			return read
		}
	}
}
