package testkit

import (
	"os"
	"syscall"
)

// memory is a file system that keeps its files in memory. It is "" where there is none with 4 GiB to spare, or where
// TMPDIR says where files go. A test's database is 300 files that are made and removed again. On a disk that takes
// longer than most tests.
func memory() string {
	const dir, spare = "/dev/shm", 4 << 30
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(dir, &fs) != nil || uint64(fs.Bavail)*uint64(fs.Bsize) < spare {
		return ""
	}
	return dir
}
