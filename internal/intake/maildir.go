package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Maildir is a mailbox as a directory (maildir(5)): a mail lies in new until it is taken, and goes to cur with the flag S
// (seen) then, or F (flagged) if it is refused. A mail in cur with neither flag is new too: a mail reader has moved it. To
// have a mail offered again, move it back to new. Several processes may read one Maildir.
type Maildir struct {
	in    *Intake
	dir   string
	every time.Duration // between two looks at new; cur is looked at every lookAtCur times

	rounds  rounds[string] // by path below dir
	looks   int
	strange map[string]bool // paths that could not be read, which was logged
}

const lookAtCur = 60

// NewMaildir returns the Maildir in dir.
func (in *Intake) NewMaildir(dir string) (*Maildir, error) {
	for _, sub := range []string{"new", "cur"} {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil {
			return nil, fmt.Errorf("%s is not a Maildir: %w", dir, err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("%s is not a Maildir: its %s is not a directory", dir, sub)
		}
	}
	return &Maildir{in: in, dir: dir, every: time.Second, strange: map[string]bool{}}, nil
}

// Run hands over mails as they come in until ctx ends.
func (m *Maildir) Run(ctx context.Context) error {
	wait := pauses{least: m.every, most: max(time.Minute, m.every)}
	for {
		tally, err := m.Drain(ctx)
		if err != nil {
			m.in.o.Logger.Error("the Maildir can't be read", slog.Any("error", err))
			m.in.trouble(sourceMaildir, "it can't be read: the log says why")
		} else {
			m.in.trouble(sourceMaildir, "")
		}
		pause := m.every
		if err != nil || tally.Left > 0 && tally.Taken == 0 {
			pause = wait.take()
		} else {
			wait.reset()
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// Drain hands over the mails that are there now.
func (m *Maildir) Drain(ctx context.Context) (Tally, error) {
	names, err := m.list("new", func(string) bool { return true })
	if err != nil {
		return Tally{}, err
	}
	if m.looks++; m.looks%lookAtCur == 1 {
		more, err := m.list("cur", unread)
		if err != nil {
			return Tally{}, err
		}
		names = append(names, more...)
	}
	return m.rounds.run(ctx, names, func(name string) (Result, error) { return m.one(ctx, name), nil })
}

// list returns the paths of the mails in a directory, the oldest first by their names, which begin with a time.
func (m *Maildir) list(sub string, is func(name string) bool) (paths []string, err error) {
	d, err := os.Open(filepath.Join(m.dir, sub))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			if !strings.HasPrefix(name, ".") && is(name) {
				paths = append(paths, filepath.Join(sub, name))
			}
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(paths)
			return paths, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// flagsOf splits the name of a mail into its unique part and its flags.
func flagsOf(name string) (unique, flags string) {
	unique, flags, _ = strings.Cut(name, ":2,")
	return unique, flags
}

// unread reports whether a mail in cur was neither read, flagged, nor thrown away.
func unread(name string) bool {
	_, flags := flagsOf(name)
	return !strings.ContainsAny(flags, "SFT")
}

// one hands over a mail, unless another process has it in hand.
func (m *Maildir) one(ctx context.Context, path string) Result {
	f, err := m.open(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !m.strange[path] {
			m.strange[path] = true
			m.in.o.Logger.Error("a file of the Maildir can't be read, and is passed over", slog.Any("error", err))
		}
		return none
	}
	defer f.Close() // which gives the lock back
	if !m.lock(f, path) {
		return none
	}
	raw, err := io.ReadAll(io.LimitReader(f, MaxMail))
	if err != nil {
		m.in.o.Logger.Error("a mail of the Maildir can't be read", slog.Any("error", err))
		return Left
	}
	result := m.in.hand(ctx, sourceMaildir, raw)
	switch result {
	case Taken:
		err = m.move(path, "S")
	case Refused:
		err = m.move(path, "F")
	}
	if err != nil {
		m.in.o.Logger.Error("a mail that was handed over stays in the Maildir", slog.Any("error", err))
		return Left
	}
	return result
}

// open opens a mail, which is a plain file: it must not wait for a pipe, nor follow a link out of the Maildir.
func (m *Maildir) open(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(m.dir, path), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: f.Name(), Err: errors.New("it is not a plain file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lock takes hold of a mail, and reports whether it is still there and nobody else has it. A file system without locks
// leaves a mail to all.
func (m *Maildir) lock(f *os.File, path string) bool {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return false
	}
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(filepath.Join(m.dir, path))
	return err == nil && os.SameFile(opened, now)
}

// move puts a mail into cur with one more flag. It is no error if somebody has taken it away.
func (m *Maildir) move(path, flag string) error {
	unique, flags := flagsOf(filepath.Base(path))
	all := strings.Split(flags+flag, "")
	slices.Sort(all) // as maildir(5) has it
	to := filepath.Join(m.dir, "cur", unique+":2,"+strings.Join(all, ""))
	if _, err := os.Lstat(to); err == nil { // a mail of the same name, which a rename would replace
		to = filepath.Join(m.dir, "cur", fmt.Sprintf("%s_%d:2,%s", unique, time.Now().UnixNano(), strings.Join(all, "")))
	}
	err := os.Rename(filepath.Join(m.dir, path), to)
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Lstat(filepath.Join(m.dir, path)); errors.Is(gone, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}
