package render

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"tocsin/internal/notice"
)

// latest holds the set that was made last of an overlay; its files may change.
type latest struct {
	mu  sync.Mutex
	set *Set
	sum [sha256.Size]byte // of the files that it was made of
}

// parsedFiles are those of an overlay that a set is made of. All others are read when a notice asks for them.
var parsedFiles = []string{"layout.*", languagesName + "/*.yaml"}

// Current returns the set of the overlay's files as they are now. Where none has changed, it is s itself, or the one
// that Current returned last. Where they don't work, the error names their mistake, and the set is the last one that
// worked. It is never nil.
func (s *Set) Current() (*Set, error) {
	if s.overlay == nil {
		return s, s.layoutErr
	}
	l := s.latest
	l.mu.Lock()
	defer l.mu.Unlock()
	sum, err := fingerprint(s.overlay)
	if err != nil {
		return l.set, notice.Invalid("template_dir", "can't be read: %v", err)
	}
	if sum == l.sum {
		return l.set, l.set.layoutErr
	}
	made := New(s.builtin, s.overlay).Branded(s.branding)
	if made.layoutErr != nil {
		return l.set, made.layoutErr
	}
	made.latest, l.set, l.sum = l, made, sum
	return made, nil
}

// fingerprint is the digest of the files of an overlay that are parsed.
func fingerprint(overlay fs.FS) (sum [sha256.Size]byte, err error) {
	if _, err := fs.Stat(overlay, "."); err != nil {
		return sum, err
	}
	h := sha256.New()
	for _, pattern := range parsedFiles {
		files, err := fs.Glob(overlay, pattern)
		if err != nil {
			return sum, err
		}
		for _, name := range files {
			content, err := fs.ReadFile(overlay, name)
			if errors.Is(err, fs.ErrNotExist) { // it went just now
				continue
			}
			if err != nil {
				return sum, err
			}
			fmt.Fprintf(h, "%q %d\n", name, len(content))
			h.Write(content)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
