package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tocsin/internal/dkim"
)

const unsigned = "unsigned"

// signatures compares mails that are signed with mails that are not, in turns into one sink.
func (s *benchSystem) signatures(relay string) {
	runs := map[string][]figures{}
	for range *benchRounds {
		for _, kind := range append([]string{unsigned}, dkim.Kinds...) {
			s.check(s.worker("", 64, s.signing(relay, kind)))
			f, err := s.send("first", 50*time.Millisecond)
			s.check(err)
			runs[kind] = append(runs[kind], f)
		}
	}
	fmt.Printf("\nsignatures, fast sink, 64 open marks\n")
	printRuns(runs, unsigned)
	plain, work := median(runs[unsigned], figures.rate), func(f figures) float64 { return f.perMail("work") }
	for _, kind := range dkim.Kinds {
		fmt.Printf("  %s costs %.2f of the rate and %.0f µs of the worker's CPU a mail\n", kind,
			1-median(runs[kind], figures.rate)/plain, median(runs[kind], work)-median(runs[unsigned], work))
	}
}

// signing returns a file of settings with a new key of a kind, or with none.
func (s *benchSystem) signing(relay, kind string) string {
	file := fmt.Sprintf("from: %q\nrelays:\n  - {name: fast, url: \"smtp://%s\"}\n", demoFrom, relay)
	if kind == unsigned {
		return file
	}
	text, err := dkim.New(kind)
	s.check(err)
	path := filepath.Join(s.b.TempDir(), "dkim.pem")
	s.check(os.WriteFile(path, text, 0o600))
	return file + fmt.Sprintf("dkim:\n  - {selector: bench, key_file: %s}\n", path)
}
