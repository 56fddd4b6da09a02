package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// chaosMounts says, in the environment of a test process, that its mounts are its own, or why they are not.
const chaosMounts = "TOCSIN_TEST_CHAOS_MOUNTS"

// ownMounts goes on in a mount namespace of this process alone, so that no file system that a test mounts is seen
// elsewhere or outlives it. It must be called before anything else has begun.
func ownMounts() {
	if os.Getenv(chaosMounts) != "" {
		return
	}
	runtime.LockOSThread() // the thread that has the namespace is the one that goes on after exec
	err := syscall.Unshare(syscall.CLONE_NEWNS)
	if err == nil {
		err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	}
	said := "own"
	if err != nil {
		said = fmt.Sprintf("no mount namespace of its own: %v", err)
	}
	os.Setenv(chaosMounts, said)
	if self, err := os.Executable(); err == nil {
		err = syscall.Exec(self, os.Args, os.Environ())
		os.Setenv(chaosMounts, fmt.Sprintf("no mount namespace of its own: %v", err))
	}
}

// smallDisk is a file system whose size can be changed.
type smallDisk struct{ dir string }

// roomyDisk is its size while there is room, in bytes.
const roomyDisk = 2 << 30

// newSmallDisk mounts one in memory, until the test ends. The error says why that can't be done here.
func newSmallDisk(t *testing.T) (*smallDisk, error) {
	t.Helper()
	if said := os.Getenv(chaosMounts); said != "own" {
		return nil, errors.New(said)
	}
	dir, err := os.MkdirTemp("", "tocsin-chaos-")
	if err != nil {
		return nil, err
	}
	d := &smallDisk{dir: dir}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("mode=1777,size=%d", roomyDisk)); err != nil {
		return nil, errors.Join(fmt.Errorf("mount a small file system: %w", err), os.Remove(dir))
	}
	t.Cleanup(func() {
		err := syscall.Unmount(dir, syscall.MNT_DETACH)
		if err := errors.Join(err, os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	return d, nil
}

// fill leaves no room on the disk.
func (d *smallDisk) fill() error {
	var err error
	for range 100 { // what is written meanwhile can't be left out
		var s syscall.Statfs_t
		if err = syscall.Statfs(d.dir, &s); err != nil {
			return err
		}
		if err = d.resize((s.Blocks - s.Bfree) * uint64(s.Bsize)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("leave no room on %s: %w", d.dir, err)
}

// empty makes room again.
func (d *smallDisk) empty() error { return d.resize(roomyDisk) }

func (d *smallDisk) resize(size uint64) error {
	return syscall.Mount("tmpfs", d.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size))
}
