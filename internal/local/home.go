package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// home is the private directory of our servers: their data, socket, settings and logs. Only the user that runs
// them may enter it. It is removed when this process ends.
type home struct {
	dir   string
	owner *syscall.Credential // the user that the servers run as; nil: ourselves
	watch *watchdog
	procs []*process
}

// socketName is Postgres' name for its socket at port 5432, a number that means nothing here.
const socketName = ".s.PGSQL.5432"

// longestSocket is how long the path of a unix socket may be: 103 bytes on macOS, 107 on Linux.
const longestSocket = 103

// newHome makes the directory in the first place where its user can get to it and a socket's path is short enough.
func newHome(m machine) (*home, error) {
	h := &home{}
	if m.root {
		owner, err := unprivileged()
		if err != nil {
			return nil, err
		}
		h.owner = owner
	}
	var errs []error
	for _, parent := range m.temp {
		err := h.settle(parent)
		if err == nil {
			break
		}
		errs = append(errs, err)
	}
	if h.dir == "" {
		return nil, fmt.Errorf("no place for a private directory: %w", errors.Join(errs...))
	}
	watch, err := startWatchdog(h.dir, m.lookPath("docker"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(h.dir))
	}
	h.watch = watch
	return h, nil
}

// settle makes the directory in parent, and shows that it can be used.
func (h *home) settle(parent string) (err error) {
	dir, err := os.MkdirTemp(parent, "tocsin-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
			h.dir = ""
		}
	}()
	if len(filepath.Join(dir, socketName)) > longestSocket {
		return fmt.Errorf("%s: too long for the path of a socket", parent)
	}
	if strings.ContainsAny(dir, "'\"\\,\n") {
		return fmt.Errorf("%s: a quote, backslash or comma in the path", parent)
	}
	h.dir = dir
	if h.owner == nil {
		return nil
	}
	if err := os.Chown(dir, int(h.owner.Uid), int(h.owner.Gid)); err != nil {
		return err
	}
	// Whether an unprivileged user gets through every directory above, only trying tells.
	if err := h.command("/bin/sh", "-c", ": >probe && rm probe").Run(); err != nil {
		return fmt.Errorf("%s: not open to the user with id %d: %w", parent, h.owner.Uid, err)
	}
	return nil
}

// unprivileged is the user that root runs the servers as: Postgres refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("there is no user postgres or nobody to run Postgres as, which refuses to run as root")
}

// command prepares a command in the directory, as its owner, apart from the terminal. A Ctrl-C is for Tocsin, which
// needs its servers until it has stopped.
func (h *home) command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = h.dir
	for _, v := range os.Environ() {
		// A caller's libpq settings, languages and zone would reach into the servers.
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "TZ=UTC", "HOME="+h.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.owner, Setsid: true}
	return cmd
}

// write puts a file into the directory for the servers alone to read.
func (h *home) write(name, text string) error {
	file := filepath.Join(h.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if h.owner == nil {
		return nil
	}
	return os.Chown(file, int(h.owner.Uid), int(h.owner.Gid))
}

// logTail is the end of a server's log.
func (h *home) logTail(name string) string {
	text, err := os.ReadFile(filepath.Join(h.dir, name+".log"))
	if err != nil {
		return err.Error()
	}
	return tail(text)
}

// close ends the servers and removes the directory, on the same path as when we die.
func (h *home) close() error {
	err := h.watch.bite()
	for _, p := range h.procs {
		select {
		case <-p.done:
		default: // only if the watchdog was killed
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
			<-p.done
		}
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// tail is the end of a program's output, where the reason stands.
func tail(out []byte) string {
	const most = 2000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return strings.TrimSpace(string(out))
}
