package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// image is the image of the Dockerfile as a directory: the last stage is built from it line by line.
type image struct {
	root string // holds the files of the image, and is not to be written to
	uid  uint32
}

// buildImage runs the commands of the Dockerfile without a container engine. The files that the Dockerfile copies from
// the system of its first stage are taken from files, by the path in the image.
func buildImage(t *testing.T, files map[string]string) *image {
	t.Helper()
	text := string(read(t, "../../Dockerfile"))
	i := &image{root: t.TempDir()}
	match := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile("(?m)^" + pattern + "$").FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the Dockerfile has no line %s", pattern)
		}
		return m[1]
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(read(t, "../../go.mod")))[1]
	if got := match(`FROM golang:(\S+) AS build`); got != version {
		t.Errorf("it builds with Go %s, go.mod wants %s", got, version)
	}
	uid, err := strconv.ParseUint(match(`USER (\d+):\d+`), 10, 32)
	if err != nil || uid == 0 {
		t.Errorf("it runs as user %d: %v", uid, err)
	}
	i.uid = uint32(uid)
	binary := filepath.Join(t.TempDir(), "tocsin")
	line := strings.NewReplacer("${VERSION}", "from-the-dockerfile", "-o /tocsin", "-o "+binary).Replace(match(`(?:RUN .*\\n)? *(CGO_ENABLED=0 go build .*)`))
	build := exec.CommandContext(t.Context(), "sh", "-c", line)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	_, last, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok {
		t.Fatal("the last stage is not made from scratch")
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY --from=build (\S+) (\S+)$`).FindAllStringSubmatch(last, -1) {
		from := files[m[1]]
		if m[1] == "/tocsin" {
			from = binary
		}
		if from == "" {
			t.Fatalf("it copies %s, which this test does not know", m[1])
		}
		i.put(t, m[2], string(read(t, from)), 0o555)
	}
	return i
}

// put lays a file into the image.
func (i *image) put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	file := filepath.Join(i.root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// seal makes all of the image unwritable, and has the test fail if something in it is changed after all.
func (i *image) seal(t *testing.T) {
	t.Helper()
	before := i.content(t)
	for dir := range strings.SplitSeq(before, "\n") {
		if path, ok := strings.CutSuffix(dir, "/"); ok {
			if err := os.Chmod(path, 0o555); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() {
		if after := i.content(t); after != before {
			t.Errorf("the image was written to: it held\n%s\nand holds\n%s", before, after)
		}
		for dir := range strings.SplitSeq(before, "\n") {
			if path, ok := strings.CutSuffix(dir, "/"); ok {
				os.Chmod(path, 0o755)
			}
		}
	})
}

func (i *image) content(t *testing.T) string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(i.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			path += "/"
		}
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return strings.Join(paths, "\n")
}

// command runs a program of the image. Root runs it as the image's user and sees nothing but the image; anybody else runs
// it as themselves, with the paths of the image put in front.
func (i *image) command(dir string, env []string, argv ...string) *exec.Cmd {
	attr := &syscall.SysProcAttr{}
	dieWithUs(attr)
	if os.Getuid() == 0 {
		attr.Chroot = i.root
		attr.Credential = &syscall.Credential{Uid: i.uid, Gid: i.uid}
		if dir == "" {
			dir = "/"
		}
		return &exec.Cmd{Path: argv[0], Args: argv, Dir: dir, Env: env, SysProcAttr: attr}
	}
	outside := slices.Clone(env)
	for n, e := range outside {
		if name, path, _ := strings.Cut(e, "="); strings.HasPrefix(path, "/") {
			outside[n] = name + "=" + i.root + path
		}
	}
	outside = append(outside, "SSL_CERT_FILE="+i.root+"/etc/ssl/certs/ca-certificates.crt")
	return &exec.Cmd{Path: i.root + argv[0], Args: argv, Dir: i.root + dir, Env: outside, SysProcAttr: attr}
}

// isStatic fails the test where the binary needs a dynamic loader, or does not know its version.
func (i *image) isStatic(t *testing.T) {
	t.Helper()
	file, err := elf.Open(filepath.Join(i.root, "tocsin"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Error("the binary is not static: it wants a dynamic loader")
		}
	}
	out, err := i.command("", nil, "/tocsin", "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "from-the-dockerfile") {
		t.Errorf("%v: %s", err, out)
	}
}

// owns fails the test where root's process did not become one of the image's user.
func (i *image) owns(t *testing.T, p *program) {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d", p.Process.Pid))
	if os.Getuid() != 0 || errors.Is(err, fs.ErrNotExist) {
		return // it runs as the user of the test, or this system does not tell
	}
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != i.uid {
		t.Errorf("it runs as user %d, want %d", uid, i.uid)
	}
}
