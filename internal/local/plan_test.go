package local

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// bare is a machine on which nothing is installed, with a directory for programs that a test puts there.
func bare(t *testing.T) (m machine, bin string) {
	t.Helper()
	bin = t.TempDir()
	return machine{path: bin, temp: thisMachine().temp}, bin
}

// script puts a shell script into a directory.
func script(t *testing.T, bin, name, body string) {
	t.Helper()
	writeProgram(t, filepath.Join(bin, name), []byte("#!/bin/sh\n"+body+"\n"))
}

// writeProgram writes a file to be executed. No child may be forked meanwhile: it would hold the file open for
// writing, and a file that is open for writing can't be executed.
func writeProgram(t *testing.T, file string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(file, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// installed returns this machine's Postgres and Redis.
func installed(t *testing.T) (postgres, redis program) {
	t.Helper()
	needsServers(t)
	p := plan{wantPostgres: true, wantRedis: true}
	if err := p.make(t.Context(), thisMachine(), t.Output()); err != nil {
		t.Fatal(err)
	}
	if p.docker != "" {
		t.Skip("needs installed programs: there are containers here")
	}
	return p.postgres, p.redis
}

func TestWithoutAnyWayTheErrorNamesTheWaysOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		programs map[string]string
		want     string
	}{
		"ordinary user":       {want: "Postgres 15 or newer is not installed"},
		"old programs":        {programs: map[string]string{"postgres": "echo 'postgres (PostgreSQL) 14.9'", "initdb": ""}, want: "Postgres 14.9 from"},
		"old Redis":           {programs: map[string]string{"redis-server": "echo Redis server v=6.0.16 sha=0"}, want: "Redis 6.0 from"},
		"Postgres, no initdb": {programs: map[string]string{"postgres": "echo 'postgres (PostgreSQL) 16.1'"}, want: "Postgres 15 or newer is not installed"},
		"Docker, no engine":   {programs: map[string]string{"docker": "echo Cannot connect >&2; exit 1"}, want: "tried: docker info: exit status 1\n    Cannot connect"},
		"images out of reach": {programs: map[string]string{"docker": "[ $1 = info ] || { echo no route >&2; exit 1; }"}, want: "docker pull: exit status 1\n    no route"},
		"packages":            {programs: map[string]string{"apt-get": "echo called; exit 1"}, want: "apt-get install postgresql redis-server"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, bin := bare(t)
			for program, body := range test.programs {
				script(t, bin, program, body)
			}
			s, err := start(t.Context(), Options{}, m)
			if s != nil || !errors.Is(err, ErrUnavailable) {
				t.Fatalf("got %v, %v; want ErrUnavailable", s, err)
			}
			for _, want := range []string{test.want, "tools/install servers", "DATABASE_URL", "REDIS_URL", "docker info", "apt-get install", "dnf install", "brew install"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "called") {
				t.Errorf("apt-get was called:\n%v", err)
			}
		})
	}
}

func TestTheNewestPostgresIsTaken(t *testing.T) {
	t.Parallel()
	m, bin := bare(t)
	m.postgres = []string{filepath.Join(bin, "*", "bin")}
	for _, version := range []string{"9.6", "15.4", "17.2", "16beta1"} {
		dir := filepath.Join(bin, version, "bin")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		script(t, dir, "postgres", "echo 'postgres (PostgreSQL) "+version+" (Debian)'")
		script(t, dir, "initdb", "")
	}
	got, ok := m.findPostgres(t.Context())
	if want := "Postgres 17.2 from " + filepath.Join(bin, "17.2", "bin"); !ok || got.String() != want {
		t.Errorf("got %s, %v; want %s", got, ok, want)
	}
}

func TestValkeyIsARedis(t *testing.T) {
	t.Parallel()
	m, bin := bare(t)
	script(t, bin, "valkey-server", "echo Valkey server v=8.0.1 sha=00000000:0")
	if got, ok := m.findRedis(t.Context()); !ok || got.name != "Valkey 8.0" {
		t.Errorf("got %+v, %v", got, ok)
	}
}

// fakeDocker runs Redis as a process: run, start, stop, kill and rm treat it as Docker treats a container.
const fakeDocker = `
home=$(dirname "$0")
echo "$@" >>"$home/said"
verb=$1
launch() { sh "$home/$1.sh" >/dev/null; }
end() { kill -KILL "$(cat "$home/$1.pid")" 2>/dev/null; rm -f "$home/$1.pid"; }
case $verb in
run)
	name=$4 port=${6#127.0.0.1:} port=${port%:6379}
	shift 8
	{
		printf '%s' "REDIS --port $port --bind 127.0.0.1 --daemonize yes --dir $home --pidfile $home/$name.pid"
		for argument; do printf " '%s'" "$argument"; done
	} >"$home/$name.sh"
	launch "$name" ;;
start) launch "$2" ;;
stop | kill) end "$2" ;;
rm) end "$4" ;;
image) exit 1 ;;
esac
`

func TestWhereAnEngineAnswersContainersAreUsed(t *testing.T) {
	t.Parallel()
	_, redis := installed(t)
	m, bin := bare(t)
	script(t, bin, "docker", strings.ReplaceAll(fakeDocker, "REDIS", redis.path))
	var log bytes.Buffer
	s, err := start(t.Context(), Options{NoPostgres: true, Log: &log}, m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if err := s.StopRedis(); err != nil {
			t.Fatal(err)
		}
		awaitRefusal(t, redisAt(t, s.RedisURL).Options().Addr)
		if err := s.StartRedis(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := redisAt(t, s.RedisURL).Ping(t.Context()).Err(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	awaitRefusal(t, redisAt(t, s.RedisURL).Options().Addr)
	said, err := os.ReadFile(filepath.Join(bin, "said"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"info\n", "pull --quiet redis:", "run --detach --name tocsin-", "rm -f -v tocsin-"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("docker was not told %q:\n%s", want, said)
		}
	}
	if !strings.Contains(log.String(), "container") {
		t.Errorf("the log does not speak of a container: %q", log.String())
	}
}

// awaitRefusal waits until nobody listens at the address.
func awaitRefusal(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if ctx.Err() != nil {
			t.Fatalf("somebody still listens at %s", address)
		}
		if err != nil {
			return
		}
		// The end of the connection is the signal that the server has gone.
		_, _ = conn.Read(make([]byte, 1))
		conn.Close()
	}
}

func TestThePrivateDirectoryGoesWhereItCanBeUsed(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	quoted := filepath.Join(t.TempDir(), "it's")
	for _, dir := range []string{long, quoted} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := thisMachine()
	// The test's own directory is closed to the user that root runs the servers as.
	m.temp = []string{filepath.Join(long, "absent"), long, quoted}
	if m.root {
		closed := t.TempDir()
		if err := os.Chmod(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		m.temp = append(m.temp, closed)
	}
	if h, err := newHome(m); err == nil {
		t.Errorf("it went to %s", h.dir)
		h.close()
	}
	for _, dir := range m.temp[1:] {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind in %s: %v, %v", dir, left, err)
		}
	}
	m.temp = append(m.temp, "/tmp")
	h, err := newHome(m)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(h.dir) != "/tmp" {
		t.Errorf("it went to %s", h.dir)
	}
	if err := h.close(); err != nil {
		t.Error(err)
	}
}
