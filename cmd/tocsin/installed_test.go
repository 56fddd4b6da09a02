package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// installed returns a program, which root has installed from Debian's package where it lacks; where that can't be,
// the test is skipped. No service is started by that: what packages would start services with does nothing. answers
// are for debconf.
func installed(t *testing.T, program, pkg string, answers ...string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	if os.Getuid() != 0 {
		t.Skipf("there is no %s here, and only root can install it", program)
	}
	installing.Lock()
	defer installing.Unlock()
	idle := t.TempDir()
	for _, name := range []string{"invoke-rc.d", "deb-systemd-invoke", "service"} {
		if err := os.WriteFile(filepath.Join(idle, name), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	selections := exec.Command("debconf-set-selections")
	selections.Stdin = strings.NewReader(strings.Join(answers, "\n") + "\n")
	out, err := selections.CombinedOutput()
	for _, args := range [][]string{{"update", "-q"}, {"install", "-y", "-q", "--no-install-recommends", "--no-remove",
		"-o", "DPkg::Path=" + idle + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", pkg}} {
		if err != nil {
			break
		}
		get := exec.Command("apt-get", append(args, "-o", "DPkg::Lock::Timeout=300")...)
		get.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		out, err = get.CombinedOutput()
	}
	if err != nil {
		t.Skipf("there is no %s here, and it can't be installed: %v\n%s", program, err, lastLines(string(out), 5))
	}
	return program
}

// installing lets one apt-get of ours run at a time: "update" does not wait for another.
var installing sync.Mutex
