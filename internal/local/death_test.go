package local

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperVariable makes this test binary start services, say where they are, and wait.
const helperVariable = "TOCSIN_LOCAL_HELPER"

// report is the helper's account of its services.
type report struct {
	Dir          string
	Servers      []int
	Children     []int // of Postgres
	Watchdog     int
	User, Answer string
}

// TestHelper is not a test: it is the process that the tests below start and kill.
func TestHelper(t *testing.T) {
	if os.Getenv(helperVariable) == "" {
		t.Skip("for the other tests")
	}
	s, err := Start(t.Context(), Options{Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	r := report{
		Dir:      s.home.dir,
		Servers:  []int{s.PostgresPID(), s.RedisPID()},
		Children: childrenOf(t, s.PostgresPID()),
		Watchdog: s.home.watch.pid,
		User:     fmt.Sprint(os.Geteuid()),
		Answer:   askPostgres(t, s.DatabaseURL, "SELECT 'up'"),
	}
	if err := redisAt(t, s.RedisURL).Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// helper starts a copy of this test binary as the user, and returns it with its report.
func helper(t *testing.T, user *syscall.Credential) (*exec.Cmd, io.Closer, report) {
	t.Helper()
	installed(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Neither the binary nor the temporary directory of a test is open to other users.
	dir, err := os.MkdirTemp("/tmp", "tocsin-helper-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	temp, program := filepath.Join(dir, "temp"), filepath.Join(dir, "helper")
	writeProgram(t, program, binary)
	for _, err := range []error{os.Mkdir(temp, 0o755), os.Chmod(dir, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if user != nil {
		if err := os.Chown(temp, int(user.Uid), int(user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-test.run=^TestHelper$")
	cmd.Dir = temp
	cmd.Env = append(os.Environ(), helperVariable+"=1", "TMPDIR="+temp, "HOME="+temp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var r report
	line, err := bufio.NewReader(output).ReadString('\n')
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("the helper said %q: %v", line, err)
	}
	if err != nil || len(r.Servers) != 2 || r.Answer != "up" || !strings.HasPrefix(r.Dir, temp) {
		t.Fatalf("the helper said %+v: %v", r, err)
	}
	return cmd, input, r
}

func TestKill9EndsTheServersAndRemovesTheirDirectory(t *testing.T) {
	t.Parallel()
	cmd, _, r := helper(t, nil)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range slices.Concat(r.Servers, r.Children, []int{r.Watchdog}) {
		awaitEnd(t, pid)
	}
	if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
		t.Errorf("%s still is there: %v", r.Dir, err)
	}
}

func TestKill9WithTheWatchdogStillEndsTheServers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux sends a signal of the parent's death")
	}
	cmd, _, r := helper(t, nil)
	for _, pid := range []int{r.Watchdog, cmd.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	for _, pid := range slices.Concat(r.Servers, r.Children) {
		awaitEnd(t, pid)
	}
}

func TestASignalToTheTerminalsGroupDoesNotReachTheServers(t *testing.T) {
	t.Parallel()
	_, _, r := helper(t, nil)
	for _, pid := range append(r.Servers, r.Watchdog) {
		if group, err := syscall.Getpgid(pid); err != nil || group == syscall.Getpgrp() {
			t.Errorf("process %d is in the group %d of the test: %v", pid, group, err)
		}
	}
}

func TestAnOrdinaryUserHasServicesToo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("every other test here shows it")
	}
	user := &syscall.Credential{Uid: 65534, Gid: 65534}
	cmd, input, r := helper(t, user)
	if r.User != "65534" {
		t.Errorf("the helper ran as %s", r.User)
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the helper: %v", err)
	}
	if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
		t.Errorf("%s still is there: %v", r.Dir, err)
	}
}

// childrenOf lists a process' children, where the system tells.
func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	for _, field := range strings.Fields(string(text)) {
		var child int
		if _, err := fmt.Sscan(field, &child); err != nil {
			t.Fatal(err)
		}
		children = append(children, child)
	}
	return children
}

// awaitEnd waits until a process that is nobody's child here has ended; a zombie that nobody reaps has.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if err := syscall.Kill(pid, 0); err == syscall.ESRCH {
			return
		}
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-deadline:
			t.Errorf("process %d still runs", pid)
			return
		case <-tick.C:
		}
	}
}
