package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// idle are the programs through which packages start services and make a first Postgres cluster. While apt-get
// runs for us each of them does nothing.
var idle = []string{"invoke-rc.d", "deb-systemd-invoke", "service", "pg_createcluster"}

// apt installs Debian packages without waking anything.
type apt struct {
	machine machine
	get     string // path of apt-get
	env     []string
	log     io.Writer
}

// install installs what lacks from the distribution's packages. It starts, restarts and stops no service.
func (m machine) install(ctx context.Context, aptGet string, lacking []service, log io.Writer) (err error) {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	var names []string
	for _, s := range lacking {
		if s == redisService {
			if _, ok := m.findRedis(ctx); ok { // another process of ours held the lock and has installed it
				continue
			}
		} else if _, ok := m.findPostgres(ctx); ok {
			continue
		}
		names = append(names, s.debian)
	}
	if len(names) == 0 {
		return nil
	}
	// Packages find these programs through dpkg's own path, so ours come first in it; the system's policy-rc.d
	// and createcluster.conf stay as they are, and nothing is left behind if we are killed.
	shims, err := os.MkdirTemp("", "tocsin-apt-")
	if err != nil {
		return fmt.Errorf("prepare apt-get: %w", err)
	}
	defer os.RemoveAll(shims)
	for _, name := range idle {
		if err := os.WriteFile(filepath.Join(shims, name), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			return fmt.Errorf("prepare apt-get: %w", err)
		}
	}
	a := apt{machine: m, get: aptGet, log: log, env: append(os.Environ(),
		"DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "LC_ALL=C", "PATH="+m.path)}
	return a.install(ctx, shims+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", names)
}

func (a apt) install(ctx context.Context, dpkgPath string, names []string) error {
	updated := false
	for _, name := range names {
		version, err := a.candidate(ctx, name)
		if version == 0 && !updated {
			if err := a.update(ctx); err != nil {
				return err
			}
			updated = true
			version, err = a.candidate(ctx, name)
		}
		if err != nil {
			return err
		}
		if name == postgresService.debian && version < oldestPostgres/100 {
			return fmt.Errorf("this release's package postgresql is version %d, too old; nothing was installed", version)
		}
	}
	args := append([]string{"install", "-y", "-q", "--no-install-recommends", "--no-remove",
		"-o", "DPkg::Path=" + dpkgPath, "-o", "DPkg::Lock::Timeout=300",
		"-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confold"}, names...)
	fmt.Fprintf(a.log, "installing packages, without starting any service: apt-get install %s\n", strings.Join(names, " "))
	err := a.run(ctx, a.get, args...)
	if err != nil && !updated { // the lists may name versions that the archive no longer has
		if stale := a.update(ctx); stale != nil {
			return errors.Join(err, stale)
		}
		err = a.run(ctx, a.get, args...)
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == redisService.debian {
			// The package also enables Redis for the next boot, on port 6379; nobody asked for that.
			if err := a.run(ctx, a.machine.lookPath("update-rc.d"), name, "disable"); err != nil {
				fmt.Fprintf(a.log, "redis-server may start at the next boot: %v\n", err)
			}
		}
	}
	return nil
}

func (a apt) update(ctx context.Context) error {
	fmt.Fprintln(a.log, "fetching package lists: apt-get update")
	return a.run(ctx, a.get, "update", "-q", "-o", "DPkg::Lock::Timeout=300")
}

var aptVersion = regexp.MustCompile(`(?m)^Version: (?:\d+:)?(\d+)`)

// candidate returns the major version that apt-get would install; 0 if it knows none.
func (a apt) candidate(ctx context.Context, name string) (int, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(a.get), "apt-cache"), "show", "--no-all-versions", name)
	cmd.Env = a.env
	out, err := cmd.Output()
	match := aptVersion.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("this machine's package lists have no %s (%v)", name, err)
	}
	return strconv.Atoi(string(match[1]))
}

// run runs a command and keeps its output for the error.
func (a apt) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = a.env
	// Its own group: a Ctrl-C that reaches us must not interrupt dpkg halfway through a package.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, tail(out))
	}
	return nil
}

// lock makes one process at a time install.
func (m machine) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(m.lockDir, "tocsin-install.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the installing of packages: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the installing of packages: %w", err)
	}
	return func() { f.Close() }, nil
}

// tail is the end of a program's output, where the reason stands.
func tail(out []byte) string {
	const most = 2000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return strings.TrimSpace(string(out))
}
