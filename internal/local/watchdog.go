package local

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// watchScript reads the running servers from its input: a line "name id" each time that a server starts, and "name"
// when it has ended. The end of the input is our end, from any cause. Then the script ends the servers and removes the
// directory. Postgres gets SIGQUIT first, so that it ends its children and frees its shared memory.
const watchScript = `
trap '' HUP INT TERM
dir=$1 docker=$2 postgres= redis= containers=
while read -r name id; do
	case $name in
	postgres) postgres=$id ;;
	redis) redis=$id ;;
	container) containers="$containers $id" ;;
	esac
done
[ "$redis" ] && kill -KILL "$redis"
[ "$postgres" ] && kill -QUIT "$postgres"
[ "$containers" ] && "$docker" rm -f -v $containers
tries=0
while rm -rf "$dir"; [ -e "$dir" ] && [ $tries -lt 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
while [ "$postgres" ] && kill -0 "$postgres" && [ $tries -lt 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
[ "$postgres" ] && kill -KILL "$postgres"
exit 0
`

// watchdog is a shell that outlives us just long enough to clean up.
type watchdog struct {
	mu    sync.Mutex
	input io.WriteCloser
	pid   int
	done  chan struct{} // closed once it has ended and err is set
	err   error
}

func startWatchdog(dir, docker string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchScript, "tocsin-watchdog", dir, docker)
	cmd.Dir = "/"
	// A session of its own: the signals of a terminal or a supervisor to our group must not reach it. Its output goes
	// nowhere: a pipe of ours held open would keep "go test" waiting.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	w := &watchdog{input: input, pid: cmd.Process.Pid, done: make(chan struct{})}
	// This also keeps the input from being closed as garbage while nobody holds the services any more.
	go func() {
		w.err = cmd.Wait()
		close(w.done)
	}()
	return w, nil
}

// tell says that the named server now is the process or container id; none: it has ended.
func (w *watchdog) tell(name, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A watchdog that is gone can't be told; close then does its work.
	_, _ = fmt.Fprintf(w.input, "%s %s\n", name, id)
}

// bite lets the watchdog clean up now, and waits for it.
func (w *watchdog) bite() error {
	w.mu.Lock()
	_ = w.input.Close()
	w.mu.Unlock() // processes that end meanwhile tell it
	<-w.done
	if w.err != nil {
		return fmt.Errorf("clean up: %w", w.err)
	}
	return nil
}
