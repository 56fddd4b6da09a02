package maillog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Event is a word of Postfix's log about one mail: that its queue manager has it, or how the mail ended.
type Event struct {
	MessageID string // with angle brackets
	QueueID   string
	At        time.Time
	Text      string // the log's words, one line of at most 300 bytes
	// Server is the recipient's server that took the mail, by name and address; "" for an event that is not about that.
	Server string
}

// Follower reads the log of a Postfix as it is written. It reads on over a rotation, by another name or by truncation,
// and while the log is missing.
type Follower struct {
	Path string
	Zone *time.Location // of times that name none
	Poll time.Duration  // how often a file is looked at that has nothing new; 0: once a second
}

const (
	defaultPoll = time.Second
	// maxLine is how much of a line without an end is kept, in bytes; Postfix and syslog end theirs long before.
	maxLine = 1 << 16
	// maxLive is how many mails are remembered that have not left the queue.
	maxLive = 1 << 20
)

// Run gives take the events of the log, from its first line on and batch by batch, until ctx ends. Where a batch is given an error
// ends it. An empty batch says that there was nothing new for a while.
func (f Follower) Run(ctx context.Context, take func(context.Context, []Event) error) error {
	if f.Poll == 0 {
		f.Poll = defaultPoll
	}
	if f.Zone == nil {
		f.Zone = time.Local
	}
	t := &tail{path: f.Path}
	defer t.close()
	r := reader{clock: clock{zone: f.Zone}, mails: map[string]string{}}
	ticker := time.NewTicker(f.Poll)
	defer ticker.Stop()
	for {
		lines, err := t.next()
		if err != nil {
			return err
		}
		r.clock.now = time.Now()
		var events []Event
		for _, line := range lines {
			if e, ok := r.read(line); ok {
				events = append(events, e)
			}
		}
		if err := take(ctx, events); err != nil {
			return err
		}
		if len(lines) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// tail reads the whole lines of a file that grows.
type tail struct {
	path string
	file *os.File
	read int64  // from the file
	rest []byte // of a line that has no end yet
}

// next returns lines that are new, at most about 256 kB of them; none at the end of the file.
func (t *tail) next() (lines []string, err error) {
	if t.file == nil {
		if t.file, err = os.Open(t.path); errors.Is(err, os.ErrNotExist) {
			return nil, nil // between two files
		} else if err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		t.read, t.rest = 0, nil
	}
	buf := make([]byte, 256<<10)
	n, err := t.file.Read(buf)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	if n == 0 {
		return nil, t.turn()
	}
	t.read += int64(n)
	t.rest = append(t.rest, buf[:n]...)
	for {
		line, rest, ok := bytes.Cut(t.rest, []byte("\n"))
		if !ok {
			break
		}
		lines, t.rest = append(lines, string(line)), rest
	}
	if len(t.rest) > maxLine {
		t.rest = t.rest[:0:0]
	}
	return lines, nil
}

// turn begins anew at the end of a file, where the path leads to another file by now or the file has become shorter.
func (t *tail) turn() error {
	now, err := os.Stat(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the file that is open may still grow
	}
	if err != nil {
		return fmt.Errorf("look at the log: %w", err)
	}
	mine, err := t.file.Stat()
	if err != nil {
		return fmt.Errorf("look at the log: %w", err)
	}
	if !os.SameFile(now, mine) || mine.Size() < t.read {
		t.close()
	}
	return nil
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // it was read alone
		t.file = nil
	}
}

// reader knows which Message-ID has a queue id now.
type reader struct {
	clock clock
	mails map[string]string // Message-IDs by host, instance and queue id
}

// read returns the event of a line about a mail that has a name.
func (r *reader) read(s string) (e Event, ok bool) {
	n, ok := r.clock.parse(s)
	if !ok {
		return e, false
	}
	queueID, text, ok := strings.Cut(n.text, ": ")
	if !ok || !isQueueID(queueID) {
		return e, false
	}
	key := n.host + " " + n.instance + " " + queueID
	switch {
	case n.daemon == "smtpd" && strings.HasPrefix(text, "client="), n.daemon == "pickup" && strings.HasPrefix(text, "uid="):
		delete(r.mails, key) // the queue id is given again
		return e, false
	case n.daemon == "cleanup" && strings.HasPrefix(text, "message-id="):
		if len(r.mails) >= maxLive {
			clear(r.mails)
		}
		r.mails[key] = strings.TrimSpace(strings.TrimPrefix(text, "message-id="))
		return e, false
	}
	id := r.mails[key]
	if id == "" || !queueManagers[n.daemon] && !agents[n.daemon] {
		return e, false
	}
	if queueManagers[n.daemon] && text == "removed" {
		delete(r.mails, key)
		return e, false
	}
	e = Event{MessageID: id, QueueID: queueID, At: n.early.UTC()}
	status := strings.Index(text, ", status=")
	switch {
	case status >= 0:
		e.Text, e.Server = printable(text[status+2:]), takenBy(n.daemon, text[:status], text[status:])
	case queueManagers[n.daemon] && strings.HasPrefix(text, "from=<") && strings.HasSuffix(text, "(queue active)"):
		e.Text = "queue active"
	default:
		return e, false
	}
	return e, true
}

// takenBy returns the server that took a mail, by the line of the agent that spoke with it; "" where none did. Only the
// agents for SMTP and LMTP hand mails to other servers.
func takenBy(agent, before, status string) string {
	if agent != "smtp" && agent != "lmtp" || !strings.HasPrefix(status, ", status=sent (") {
		return ""
	}
	_, server, ok := strings.Cut(before, ", relay=")
	if server, _, _ = strings.Cut(server, ", "); !ok || server == "none" {
		return ""
	}
	return printable(server)
}
