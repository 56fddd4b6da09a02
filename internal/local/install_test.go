package local

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// host is a machine of its own for tools/install, in a directory. bin has the programs that every Debian has, and the
// programs that a test adds.
type host struct {
	t       *testing.T
	at, bin string
}

func newHost(t *testing.T, user, release string) host {
	t.Helper()
	h := host{t: t, at: t.TempDir()}
	h.bin = filepath.Join(h.at, "usr/bin")
	for _, dir := range []string{h.bin, filepath.Join(h.at, "etc"), filepath.Join(h.at, "run")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"cat", "chmod", "flock", "grep", "ln", "ls", "mkdir", "mktemp", "readlink", "rm", "sed", "setsid", "tail", "timeout"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("tools/install needs %s: %v", name, err)
		}
		if err := os.Symlink(path, filepath.Join(h.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	script(t, h.bin, "id", "echo "+user)
	if err := os.WriteFile(filepath.Join(h.at, "etc/os-release"), []byte(release+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// install prepares tools/install on the host, with these variables.
func (h host) install(purpose string, variables ...string) *exec.Cmd {
	cmd := exec.Command("../../tools/install", purpose)
	cmd.Env = append([]string{"PATH=" + h.bin, "TOCSIN_INSTALL_AT=" + h.at, "HOST=" + h.at}, variables...)
	return cmd
}

// read returns the content of a file that the programs of the host left, or "".
func (h host) read(name string) string {
	text, err := os.ReadFile(filepath.Join(h.at, name))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	return string(text)
}

// archive is an apt-get that knows Redis once its lists are fetched. It looks for the programs with which packages
// wake services.
var archive = map[string]string{
	"apt-cache": `cat "$HOST/lists" 2>/dev/null`,
	"apt-get": `
echo "$1 $2" >>"$HOST/said"
case "$*" in
update*) echo "Version: 5:7.0.15" >"$HOST/lists" ;;
*--download-only*) ;;
install*)
	for argument; do case $argument in DPkg::Path=*) PATH=${argument#DPkg::Path=} ;; esac; done
	for program in invoke-rc.d deb-systemd-invoke service pg_createcluster; do
		case $(command -v $program) in
		*/tocsin-install-*) $program redis-server start || exit 1 ;;
		*) echo $program >>"$HOST/woken" ;; # not to be run here
		esac
	done
	printf '#!/bin/sh\necho Redis server v=7.0.15 sha=0\n' >"$HOST/usr/bin/redis-server"
	chmod +x "$HOST/usr/bin/redis-server" ;;
esac`,
	"update-rc.d": `echo "$@" >>"$HOST/boot"`,
}

const databaseURL = "DATABASE_URL=postgres://given"

func TestInstallBringsWhatLacksAndWakesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, "0", "ID=debian")
	for name, body := range archive {
		script(t, h.bin, name, body)
	}
	temp := t.TempDir()
	var logs [2]bytes.Buffer // two at once: one installs, the other waits for it
	var cmds [2]*exec.Cmd
	for i := range cmds {
		cmds[i] = h.install("servers", databaseURL, "TMPDIR="+temp)
		cmds[i].Stderr = &logs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, &logs[i])
		}
	}
	log := logs[0].String() + logs[1].String()
	for _, said := range []string{"apt-get update", "without starting any service: apt-get install redis-server\n"} {
		if strings.Count(log, said) != 1 {
			t.Errorf("it does not say %q once: %s", said, log)
		}
	}
	if said := h.read("said"); said != "update -q\ninstall -y\ninstall -y\n" {
		t.Errorf("apt-get was told\n%s", said)
	}
	if woken := h.read("woken"); woken != "" {
		t.Errorf("not kept idle: %s", woken)
	}
	if boot := h.read("boot"); boot != "redis-server disable\n" {
		t.Errorf("update-rc.d was told %q", boot)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestInstallFetchesListsAnewWhereTheyAreStale(t *testing.T) {
	t.Parallel()
	h := newHost(t, "0", "ID=mint\nID_LIKE=\"ubuntu debian\"")
	for name, body := range archive {
		script(t, h.bin, name, body)
	}
	script(t, h.bin, "apt-cache", "echo Version: 5:7.0.1")
	script(t, h.bin, "apt-get", `case "$*" in *--download-only*) [ -e "$HOST/lists" ] || { echo 404; exit 100; } ;; esac`+archive["apt-get"])
	if out, err := h.install("servers", databaseURL).CombinedOutput(); err != nil || !strings.Contains(string(out), "apt-get update") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestInstallSaysWhyItCanNot(t *testing.T) {
	t.Parallel()
	failing := map[string]string{"apt-get": `echo called >>"$HOST/called"; echo disk full; exit 100`, "apt-cache": "echo Version: 17+1"}
	with := func(more map[string]string) map[string]string {
		all := maps.Clone(failing)
		maps.Copy(all, more)
		return all
	}
	tests := map[string]struct {
		user, release, want string
		programs            map[string]string
		called              bool
	}{
		"not root":            {user: "1000", release: "ID=debian", programs: failing, want: "Redis 6.2 or newer: only root can install it"},
		"Fedora":              {user: "0", release: "ID=fedora", programs: failing, want: "neither Debian nor Ubuntu"},
		"Rocky":               {user: "0", release: "ID=rocky\nID_LIKE=\"rhel fedora\"", programs: failing, want: "neither Debian nor Ubuntu"},
		"no apt-get":          {user: "0", release: "ID=debian", want: "neither Debian nor Ubuntu"},
		"apt-get fails":       {user: "0", release: "ID=debian", programs: failing, want: "\ndisk full\n", called: true},
		"unknown packages":    {user: "0", release: "ID=debian", programs: with(map[string]string{"apt-cache": "", "apt-get": "exit 0"}), want: "the package lists have no redis-server"},
		"a release too old":   {user: "0", release: "ID=ubuntu\nID_LIKE=debian", programs: with(map[string]string{"apt-cache": "echo Version: 14+238"}), want: "version 14, too old; nothing was installed"},
		"still too old":       {user: "0", release: "ID=debian", programs: with(map[string]string{"apt-get": "exit 0", "redis-server": "echo v=5.0"}), want: "installed, but is too old"},
		"an engine, no image": {user: "1000", release: "ID=debian", programs: map[string]string{"docker": "[ $1 = info ] || { echo no route >&2; exit 1; }"}, want: "no route"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, test.user, test.release)
			for program, body := range test.programs {
				script(t, h.bin, program, body)
			}
			out, err := h.install("servers").CombinedOutput()
			if err == nil {
				t.Fatal("it says that all went well")
			}
			for _, want := range []string{test.want, "NOT INSTALLED: Postgres", "tools/install servers", "docker info", "DATABASE_URL="} {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if called := h.read("called") != ""; called != test.called {
				t.Errorf("apt-get was called: %v\n%s", called, out)
			}
		})
	}
}

func TestInstallLeavesTheServersToContainers(t *testing.T) {
	t.Parallel()
	h := newHost(t, "0", "ID=debian")
	script(t, h.bin, "docker", `echo "$*" >>"$HOST/said"; [ "$2" != inspect ]`)
	script(t, h.bin, "apt-get", "exit 1")
	out, err := h.install("servers").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, s := range []service{postgresService, redisService} {
		if !strings.Contains(h.read("said"), "pull --quiet "+s.image+"\n") {
			t.Errorf("docker was not told to pull %s:\n%s", s.image, h.read("said"))
		}
	}
}

func TestInstallPrintsWhichTestsAreWithoutTheirProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t, "1000", "ID=debian")
	for _, name := range []string{"curl", "spamassassin", "pg_dump"} {
		script(t, h.bin, name, "")
	}
	cmd := h.install("tests", "TOCSIN_TEST_DATABASE_URL=postgres://given", "TOCSIN_TEST_REDIS_URL=redis://given")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil || string(out) != "python3\npostfix\npromtool\ngcc\ndkimverify\nicalendar\n" {
		t.Errorf("%v: %q\n%s", err, out, &log)
	}
	if !strings.Contains(log.String(), "NOT INSTALLED: python3: only root can install it; the tests that need it are skipped") {
		t.Errorf("it says\n%s", &log)
	}
}

func TestInstallAndStartAgreeAboutVersions(t *testing.T) {
	t.Parallel()
	postgres := func(m machine) bool { _, ok := m.findPostgres(t.Context()); return ok }
	redis := func(m machine) bool { _, ok := m.findRedis(t.Context()); return ok }
	tests := []struct {
		dir, program, says string
		found              func(machine) bool
		want               bool
	}{
		{"usr/lib/postgresql/15/bin", "postgres", "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", postgres, true},
		{"usr/lib/postgresql/15/bin", "postgres", "postgres (PostgreSQL) 14.20", postgres, false},
		{"usr/lib/postgresql/9.6/bin", "postgres", "postgres (PostgreSQL) 9.6.24", postgres, false},
		{"usr/pgsql-18/bin", "postgres", "postgres (PostgreSQL) 18beta1", postgres, true},
		{"usr/bin", "postgres", "postgres (PostgreSQL) 17.2", postgres, true},
		{"usr/bin", "postgres", "Segmentation fault", postgres, false},
		{"usr/bin", "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=d81b8ff71cfb150e", redis, true},
		{"usr/bin", "redis-server", "Redis server v=6.2.14 sha=00000000:0", redis, true},
		{"usr/bin", "redis-server", "Redis server v=6.0.16 sha=00000000:0", redis, false},
		{"usr/bin", "redis-server", "Redis server v=5.0.7 sha=00000000:0", redis, false},
		{"usr/bin", "valkey-server", "Valkey server v=8.0.1 sha=00000000:0", redis, true},
	}
	for _, test := range tests {
		t.Run(test.says, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "1000", "ID=debian")
			dir := filepath.Join(h.at, test.dir)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			script(t, dir, test.program, "echo '"+test.says+"'")
			script(t, dir, "initdb", "")
			other := databaseURL
			if test.program == "postgres" {
				other = "REDIS_URL=redis://given"
			}
			out, err := h.install("servers", other).CombinedOutput()
			m := thisMachine()
			m.path = h.bin
			for i, pattern := range m.postgres {
				m.postgres[i] = filepath.Join(h.at, pattern)
			}
			if got := []bool{err == nil, test.found(m)}; !slices.Equal(got, []bool{test.want, test.want}) {
				t.Errorf("tools/install and Start find it good enough: %v, want %v\n%s", got, test.want, out)
			}
		})
	}
}
