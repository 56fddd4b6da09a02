// Package maillog reads the logs of relays and of the sink about mails: Postfix's log, and the store of tocsin sink.
//
// It answers one question: did the relay take the mail with this Message-ID? A line that names the Message-ID is no
// proof: Postfix writes it when the header has come, before the end of the mail. Taken is a mail that reached the
// queue manager. A mail that the log leaves open is Unclear, never Absent, because an absent mail may be sent again.
package maillog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Verdict is the word of a log about a mail.
type Verdict int

// The verdicts, from nothing to everything.
const (
	Absent  Verdict = iota // not a word
	Begun                  // the relay read its header, and the log never says that it took the mail
	Unclear                // the relay may have taken it: it was held or discarded, or its lines do not fit together
	Taken                  // the relay took it: the queue manager had it, or the sink kept it
)

// Finding is everything that a log tells about one mail.
type Finding struct {
	Verdict Verdict
	QueueID string    // of Postfix; "" for the sink
	Text    string    // the relay's last word about a mail that was taken, or why it is unclear
	At      time.Time // when it was taken
}

// Options name the mails to look for, and the reading of times without year and zone.
type Options struct {
	Wanted []string       // Message-IDs, with angle brackets
	Zone   *time.Location // of times that name none
	Now    time.Time      // no line is much younger: it tells the year where a time has none
}

// Log is the record of the lines read so far.
type Log struct {
	clock   clock
	wanted  map[string][]*mail // by Message-ID
	live    map[string]*mail   // by host and queue id: who has that id now
	tainted map[string]string  // by host and smtpd process: its plan for the next mail of this connection
	sources map[string]*source
	flaw    string
}

// mail is one use of a queue id, or one line of the sink.
type mail struct {
	id       string // Message-ID, "" until it is known
	queueID  string
	instance string // of Postfix, as its log names it
	opened   time.Time
	client   bool // the line of the connection that brings it was seen
	taken    bool
	at       time.Time
	text     string
	doubt    string // why it may have been taken although the log does not say so
}

// source is one writer of lines, with a clock of its own and lines that are complete or not on their own.
type source struct {
	first, last time.Time // of lines that may be either of two times, the narrower span
	lines       int
}

// New returns an empty log.
func New(o Options) *Log {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	l := &Log{
		clock:  clock{zone: o.Zone, now: o.Now},
		wanted: make(map[string][]*mail, len(o.Wanted)), live: map[string]*mail{}, tainted: map[string]string{}, sources: map[string]*source{},
	}
	for _, id := range o.Wanted {
		l.wanted[id] = nil
	}
	return l
}

// Read reads one file; name stands for it in messages. Files of one relay are given oldest first. Lines that neither
// Postfix nor the sink wrote are passed over.
func (l *Log) Read(name string, r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		where := func() string { return fmt.Sprintf("%s:%d", name, n) }
		if len(line) > 0 && line[0] == '{' {
			l.kept(line, name, where)
		} else if len(line) > 0 {
			l.logged(string(line), where)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
}

// tolerance is how far the lines of one writer may run backwards: the hour that is had twice in autumn.
const tolerance = 61 * time.Minute

// seen counts a line of a source.
func (l *Log) seen(name string, early, late time.Time, where func() string) {
	s := l.sources[name]
	if s == nil {
		s = &source{first: late, last: early}
		l.sources[name] = s
	}
	s.lines++
	if early.Before(s.last.Add(-tolerance)) {
		l.blemish(where() + " is older than the line before it: give the oldest file first")
	}
	if early.After(l.clock.now.Add(2 * time.Minute)) {
		l.blemish(where() + " is in the future: is it in the zone that it was read in?")
	}
	if late.Before(s.first) {
		s.first = late
	}
	if early.After(s.last) {
		s.last = early
	}
}

// blemish keeps the first thing that keeps the log from proving that a mail is absent.
func (l *Log) blemish(text string) {
	if l.flaw == "" {
		l.flaw = text
	}
}

// Span is the time over which every source of a log was read.
type Span struct {
	From, Until time.Time // of the relay's own lines; where there are several relays, of the shortest log
	Lines       int
	Sources     []string // who wrote them
	Flaw        string   // why the absence of a mail proves nothing; "" for nothing
}

// Span returns the span of the log that was read. Without a line of a relay all of it is zero.
func (l *Log) Span() (s Span) {
	s.Flaw = l.flaw
	s.Sources = slices.Sorted(maps.Keys(l.sources))
	for i, name := range s.Sources {
		src := l.sources[name]
		s.Lines += src.lines
		if i == 0 || src.first.After(s.From) {
			s.From = src.first
		}
		if i == 0 || src.last.Before(s.Until) {
			s.Until = src.last
		}
	}
	return s
}

// Covers reports whether a mail that reached a relay between those times would be in the log.
func (s Span) Covers(from, until time.Time) bool {
	return s.Flaw == "" && s.Lines > 0 && !s.From.After(from) && !s.Until.Before(until)
}

// Find returns the log's finding on a Message-ID that was wanted.
func (l *Log) Find(id string) (f Finding) {
	for _, m := range l.wanted[id] {
		now := Finding{Verdict: Begun, QueueID: m.queueID}
		switch {
		case m.taken && m.doubt == "":
			now = Finding{Verdict: Taken, QueueID: m.queueID, Text: printable(m.text), At: m.at.UTC()}
		case m.doubt != "":
			now = Finding{Verdict: Unclear, QueueID: m.queueID, Text: m.doubt}
		}
		if now.Verdict > f.Verdict {
			f = now
		}
	}
	return f
}

// printable makes a text of the log one line of at most 300 bytes that any store can hold.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	const most = 300
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-len("…")], "") + "…"
	}
	return s
}
