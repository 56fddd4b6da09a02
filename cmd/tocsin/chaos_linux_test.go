package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tocsin/internal/testkit"
)

// smallDisk is a file system of a size that can be changed.
type smallDisk struct{ dir string }

// roomyDisk is its size while there is room, in bytes.
const roomyDisk = 2 << 30

// newSmallDisk mounts one in memory, until the test ends, in a process that testkit.Apart has started.
func newSmallDisk(t *testing.T) (*smallDisk, error) {
	t.Helper()
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
	for range 100 { // a write in between makes the new size too small
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

// firewall loses packets in the network of a process that testkit.Apart has started.
type firewall struct{ t *testing.T }

// fetchFirewall downloads nft where it lacks, while there still is a network.
func fetchFirewall(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		_, _ = testkit.Debian(t.Context(), "nftables") // newFirewall says why it can't be had
	}
}

// newFirewall returns one that lets everything through. The error says why there can be none here.
func newFirewall(t *testing.T) (*firewall, error) {
	if _, err := exec.LookPath("nft"); err != nil {
		root, err := testkit.Debian(t.Context(), "nftables")
		if err == nil {
			err = testkit.Overlay(filepath.Join(root, "usr"), "/usr")
		}
		if err != nil {
			return nil, fmt.Errorf("no nft: %w", err)
		}
	}
	f := &firewall{t}
	return f, f.drop(0)
}

// drop has a share of the packets to and from addresses of this machine dropped, and all others let through.
func (f *firewall) drop(percent int, addresses ...net.Addr) error {
	rules := "table ip chaos\ndelete table ip chaos\ntable ip chaos { chain relays { type filter hook input priority 0;\n"
	for _, a := range addresses {
		_, port, _ := net.SplitHostPort(a.String())
		for _, side := range []string{"sport", "dport"} {
			rules += fmt.Sprintf("tcp %s %s numgen random mod 100 <= %d drop\n", side, port, percent-1)
		}
	}
	nft := exec.CommandContext(f.t.Context(), "nft", "-f", "-")
	nft.Stdin = strings.NewReader(rules + "}\n}\n")
	if out, err := nft.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}
