package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MarksDir is a Mirror in a directory: a file for each ledger and worker that holds a number. It is for those who
// would restore Redis together with Postgres.
type MarksDir string

// Marks returns the numbers that the directory holds for a ledger.
func (d MarksDir) Marks(_ context.Context, ledger string) (map[string]int64, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, fmt.Errorf("read the directory of marks: %w", err)
	}
	numbers := map[string]int64{}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), ledger+".")
		if !ok || strings.HasSuffix(name, ".new") {
			continue
		}
		worker, err := url.QueryUnescape(name)
		if err != nil {
			return nil, fmt.Errorf("%s is not named after a worker: %w", e.Name(), err)
		}
		text, err := os.ReadFile(filepath.Join(string(d), e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the marks: %w", err)
		}
		if len(text) == 0 {
			continue // a power cut can leave this of a file that was being made
		}
		if numbers[worker], err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return nil, fmt.Errorf("%s holds no number: %w", e.Name(), err)
		}
	}
	return numbers, nil
}

// KeepMarks writes the numbers of some workers. A file is replaced as a whole.
func (d MarksDir) KeepMarks(_ context.Context, ledger string, numbers map[string]int64) error {
	for worker, n := range numbers {
		path := d.file(ledger, worker)
		// The process is part of the name: two that put back the same worker's number must not share a file.
		fresh := fmt.Sprintf("%s.%d.new", path, os.Getpid())
		if err := writeSynced(fresh, strconv.FormatInt(n, 10)+"\n"); err != nil {
			return fmt.Errorf("write the marks: %w", err)
		}
		if err := os.Rename(fresh, path); err != nil {
			return fmt.Errorf("write the marks: %w", err)
		}
	}
	return nil
}

// DropMarks removes the numbers of some workers.
func (d MarksDir) DropMarks(_ context.Context, ledger string, workers []string) error {
	for _, worker := range workers {
		if err := os.Remove(d.file(ledger, worker)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop the marks: %w", err)
		}
	}
	return nil
}

// file is the path of a worker's number.
func (d MarksDir) file(ledger, worker string) string {
	return filepath.Join(string(d), ledger+"."+url.QueryEscape(worker))
}

func writeSynced(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Sync()
}
