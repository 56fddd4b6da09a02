package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Tocsin needs Postgres 15, and Redis 6.2 for the queue's archive.
const (
	oldestPostgres = 15_00
	oldestRedis    = 6_02
)

// machine is the part of the host that Start looks at. tools/install looks at the same places.
type machine struct {
	path     string   // list of directories with programs, as in PATH
	postgres []string // patterns of directories with Postgres' programs, which Debian keeps off the PATH
	temp     []string // where private directories may go, best first
	root     bool
}

func thisMachine() machine {
	return machine{
		path: os.Getenv("PATH") + string(os.PathListSeparator) + "/usr/local/bin:/usr/bin:/usr/sbin:/opt/homebrew/bin",
		postgres: []string{
			"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
			"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		},
		temp: []string{os.TempDir(), "/tmp", "/var/tmp"},
		root: os.Geteuid() == 0,
	}
}

// program is an installed server.
type program struct {
	path    string // of the server; Postgres' initdb is in the same directory
	name    string // for people
	version int    // major × 100 + minor
}

func (p program) String() string {
	return fmt.Sprintf("%s from %s", p.name, filepath.Dir(p.path))
}

// lookPath finds an executable file on the machine's path, or "".
func (m machine) lookPath(name string) string {
	for _, dir := range filepath.SplitList(m.path) {
		if file := filepath.Join(dir, name); filepath.IsAbs(file) && executable(file) {
			return file
		}
	}
	return ""
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// findPostgres returns the newest Postgres. If it is too old, ok is false and newest is still that program.
func (m machine) findPostgres(ctx context.Context) (newest program, ok bool) {
	var files []string
	if file, err := filepath.EvalSymlinks(m.lookPath("postgres")); err == nil {
		files = append(files, file)
	}
	for _, pattern := range m.postgres {
		found, _ := filepath.Glob(filepath.Join(pattern, "postgres"))
		files = append(files, found...)
	}
	for _, file := range files {
		if !executable(file) || !executable(filepath.Join(filepath.Dir(file), "initdb")) {
			continue
		}
		if v, number := askVersion(ctx, file); v > newest.version {
			newest = program{file, "Postgres " + number, v}
		}
	}
	return newest, newest.version >= oldestPostgres
}

// findRedis returns Redis or Valkey. If it is too old, ok is false and newest is still that program.
func (m machine) findRedis(ctx context.Context) (newest program, ok bool) {
	for _, names := range [][2]string{{"redis-server", "Redis"}, {"valkey-server", "Valkey"}} {
		if file := m.lookPath(names[0]); file != "" {
			if v, number := askVersion(ctx, file); v > newest.version {
				newest = program{file, names[1] + " " + number, v}
			}
		}
	}
	return newest, newest.version >= oldestRedis
}

var versionNumber = regexp.MustCompile(`(?:\(PostgreSQL\) |v=)((\d+)(?:\.(\d+))?)`)

// askVersion asks a server's program; the version is 0 if it can't be run or says nothing known.
func askVersion(ctx context.Context, file string) (version int, number string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, file, "--version").Output()
	if err != nil {
		return 0, ""
	}
	match := versionNumber.FindSubmatch(out)
	if match == nil {
		return 0, ""
	}
	major, _ := strconv.Atoi(string(match[2]))
	minor, _ := strconv.Atoi(string(match[3]))
	return major*100 + min(minor, 99), string(match[1])
}
