package testkit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// Debian returns a directory that has the files of Debian packages, and of those that they need and this machine lacks.
// Nothing is installed: they are downloaded and unpacked below the user's cache directory, once. The error says why they
// can't be had.
func Debian(ctx context.Context, packages ...string) (dir string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, "tocsin", "debian")
	own := filepath.Join(dir, "lists")
	for _, sub := range []string{filepath.Join(own, "partial"), filepath.Join(dir, "archives", "partial")} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return "", err
		}
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	// The machine's lists may lack, or name versions that are gone.
	for _, lists := range []string{"/var/lib/apt/lists", own} {
		d := debian{dir, lists}
		if got, err := d.unpacked(ctx, packages); err == nil {
			return got, nil
		}
	}
	d := debian{dir, own}
	if _, err := d.get(ctx, "", "update"); err != nil {
		return "", err
	}
	return d.unpacked(ctx, packages)
}

// debian knows packages by their lists, and keeps their files.
type debian struct{ dir, lists string }

// missing finds the packages that apt would install.
var missing = regexp.MustCompile(`(?m)^Inst (\S+) .*$`)

// unpacked downloads and unpacks packages, unless an earlier call has.
func (d debian) unpacked(ctx context.Context, packages []string) (string, error) {
	would, err := d.get(ctx, "", append([]string{"install", "--simulate", "--reinstall", "--no-install-recommends"}, packages...)...)
	if err != nil {
		return "", err
	}
	found := missing.FindAllStringSubmatch(would, -1)
	if len(found) == 0 {
		return "", fmt.Errorf("apt-get would install nothing for %v:\n%s", packages, would)
	}
	download, names := []string{"download"}, sha256.New()
	for _, f := range found {
		download = append(download, f[1])
		fmt.Fprintln(names, f[0])
	}
	dir := filepath.Join(d.dir, fmt.Sprintf("%x", names.Sum(nil)[:8]))
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	half, err := os.MkdirTemp(d.dir, "half-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(half)
	if _, err := d.get(ctx, half, download...); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(half, "*.deb"))
	for _, f := range files {
		out, failed := exec.CommandContext(ctx, "dpkg-deb", "--extract", f, half).CombinedOutput()
		if err = errors.Join(err, failed, os.Remove(f)); err != nil {
			return "", fmt.Errorf("unpack %s: %w\n%s", filepath.Base(f), err, out)
		}
	}
	// Programs that give up their rights read them too.
	return dir, errors.Join(err, os.Chmod(half, 0o755), os.Rename(half, dir))
}

// get runs apt-get in a directory, and returns its standard output.
func (d debian) get(ctx context.Context, in string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "--yes", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root",
		"-o", "Dir::State::Lists=" + d.lists, "-o", "Dir::Cache=" + d.dir}, args...)...)
	cmd.Dir, cmd.Env = in, append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("apt-get %s: %w\n%s", args[0], err, failed.Stderr)
	}
	return string(out), err
}
