package testkit

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// apart names the variable that tells a test process that Apart has started it.
const apart = "TOCSIN_TEST_APART"

// Apart runs the test that calls it once more, in a process that has mounts, processes and a network of its own, and
// returns true there. In the first process it returns false, and the test has gone as it went in the second. With an
// error, there can be no such process here. All that the second has started and mounted ends with it.
func Apart(t *testing.T) (inside bool, err error) {
	t.Helper()
	if os.Getenv(apart) != "" {
		if err := settle(); err != nil {
			t.Fatal(err)
		}
		return true, nil
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), apart+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout = io.MultiWriter(&said, t.Output())
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("no mounts, processes and network of its own, which want root: %w", err)
	}
	err = cmd.Wait()
	switch result := said.String(); {
	case err != nil:
		t.Errorf("in a process of its own: %v", err)
	case strings.Contains(result, "--- SKIP: "+t.Name()+" "):
		t.Skip("skipped in a process of its own")
	case !strings.Contains(result, "--- PASS: "+t.Name()+" "):
		t.Error("the process of its own has not run the test")
	}
	return false, nil
}

// settle makes the namespaces usable. No mount is seen elsewhere, /proc shows the processes of this one, and there is
// a loopback interface.
func settle() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return Loopback(true)
}

// Loopback switches the loopback interface on or off in a process that Apart has started. Off it drops all packets.
func Loopback(up bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
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
		return fmt.Errorf("loopback interface up, %v: %w", up, err)
	}
	return nil
}

// Overlay lays the files of a directory over those of another, read-only, in a process that Apart has started.
func Overlay(dir, over string) error {
	if os.Getenv(apart) == "" {
		return errors.New("the mounts are not this test's own")
	}
	if err := unix.Mount("overlay", over, "overlay", unix.MS_RDONLY, "lowerdir="+dir+":"+over); err != nil {
		return fmt.Errorf("lay %s over %s: %w", dir, over, err)
	}
	return nil
}
