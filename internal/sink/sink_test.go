package sink

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns a sink that takes mail until the test ends.
func start(t testing.TB, o Options) *Sink {
	t.Helper()
	s := New(o)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client speaks SMTP, a command at a time.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dial(t testing.TB, s *Sink) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	c.want("220")
	c.say("EHLO client.example", "250")
	return c
}

// reply reads one; it is "" when the connection was cut.
func (c *client) reply() string {
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return ""
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
	}
}

func (c *client) want(prefix string) string {
	c.t.Helper()
	got := c.reply()
	if !strings.HasPrefix(got, prefix) || prefix == "" && got != "" {
		c.t.Errorf("reply %q, want %q", got, prefix)
	}
	return got
}

func (c *client) say(line, want string) string {
	c.t.Helper()
	io.WriteString(c.conn, line+"\r\n")
	return c.want(want)
}

// data takes one mail up to and with the dot, and returns the reply to it.
func (c *client) data(to, message string) string {
	c.t.Helper()
	c.say("MAIL FROM:<status@example.net>", "250")
	c.say("RCPT TO:<"+to+">", "250")
	c.say("DATA", "354")
	io.WriteString(c.conn, message+"\r\n.\r\n")
	return c.reply()
}

const message = "Message-ID: <1@example.net>\r\nSubject: =?UTF-8?Q?Stroomstoring_=C3=A9?=\r\nContent-Language: nl\r\n\r\n" +
	"Hallo\r\n..dot"

func TestAMailIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	heard := make(chan Mail, 1)
	s := start(t, Options{OnMail: func(m Mail) { heard <- m }})
	c := dial(t, s)
	if got := c.data("Ada@Example.org", message); !strings.HasPrefix(got, "250 2.0.0") {
		t.Errorf("reply %q", got)
	}
	want := Mail{
		MailFrom: "status@example.net", RcptTo: []string{"Ada@Example.org"}, MessageID: "<1@example.net>",
		Subject: "Stroomstoring é", Language: "nl", Raw: strings.Replace(message, "..dot", ".dot", 1) + "\r\n",
	}
	got := s.Mails()
	if len(got) != 1 || got[0].At.IsZero() {
		t.Fatalf("got %v", got)
	}
	got[0].At = time.Time{}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Error(d)
	}
	if m := <-heard; m.MessageID != want.MessageID {
		t.Errorf("OnMail heard of %v", m)
	}
}

func TestWhatIsOffered(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"kept": {}, "discarded": {Discard: true}} {
		c := dial(t, start(t, o))
		offer := c.say("EHLO again.example", "250")
		for _, want := range []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 67108864"} {
			if !strings.Contains(offer, want) {
				t.Errorf("%s: no %s in %q", name, want, offer)
			}
		}
		c.say("MAIL FROM:<> BODY=8BITMIME SMTPUTF8 SIZE=100", "250")
		c.say("RCPT TO:<jürgen@example.org>", "250")
		c.say("RSET", "250")
		c.say("MAIL FROM:<> SIZE=67108865", "552 5.3.4")
		c.say("QUIT", "221")
	}
}

func TestTheStoreHoldsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mail.ndjson")
	// The first sink's mails stay when a second one uses the store.
	for run := range 2 {
		s := start(t, Options{Store: path, Keep: 3})
		c := dial(t, s)
		for i := range 5 {
			c.data(fmt.Sprintf("r%d-%d@example.org", run, i), message)
			if got := len(stored(t, path)); got != run*5+i+1 {
				t.Errorf("%d lines when mail %d was answered", got, run*5+i+1)
			}
		}
		if got := len(s.Mails()); got != 3 {
			t.Errorf("%d mails in memory, want 3", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	line := stored(t, path)[9]
	want := map[string]any{
		"mail_from": "status@example.net", "rcpt_to": []any{"r1-4@example.org"}, "message_id": "<1@example.net>",
		"subject": "Stroomstoring é", "language": "nl", "raw": strings.Replace(message, "..dot", ".dot", 1) + "\r\n",
	}
	at, _ := line["at"].(string)
	if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
		t.Error(err)
	}
	delete(line, "at")
	if d := cmp.Diff(want, line); d != "" {
		t.Error(d)
	}
}

func stored(t *testing.T, path string) (lines []map[string]any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, m)
	}
	return lines
}

func TestAMailThatCannotBeStoredIsNotAccepted(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	s := start(t, Options{Store: "/dev/full"})
	if got := dial(t, s).data("ada@example.org", message); !strings.HasPrefix(got, "451 4.3.0") {
		t.Errorf("reply %q", got)
	}
	if s.Count() != 0 || len(s.Mails()) != 0 {
		t.Error("it was counted")
	}
}

func TestListenSaysWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	if err := New(Options{Store: t.TempDir()}).Listen("127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "open the store") {
		t.Errorf("got %v", err)
	}
	if err := New(Options{}).Listen("127.0.0.1:99999"); err == nil {
		t.Error("a port above 65535 was opened")
	}
}

func TestNoMailIsLost(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mail.ndjson")
	for name, o := range map[string]Options{"stored": {Store: path}, "discarded": {Discard: true}} {
		s := start(t, o)
		var clients sync.WaitGroup
		for k := range 8 {
			c := dial(t, s)
			clients.Go(func() {
				for i := range 250 {
					if got := c.data(fmt.Sprintf("r%d-%d@example.org", k, i), message); !strings.HasPrefix(got, "250") {
						t.Errorf("reply %q", got)
					}
				}
			})
		}
		clients.Wait()
		if err := s.WaitFor(t.Context(), 2000); err != nil {
			t.Error(err)
		}
		if n := s.Count(); n != 2000 {
			t.Errorf("%s: %d mails, want 2000", name, n)
		}
	}
	distinct := map[string]bool{}
	for _, m := range stored(t, path) {
		distinct[m["rcpt_to"].([]any)[0].(string)] = true
	}
	if len(distinct) != 2000 {
		t.Errorf("%d recipients in the store, want 2000", len(distinct))
	}
}

func TestWaitForEnds(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitFor(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waited := make(chan error)
	go func() { waited <- s.WaitFor(context.Background(), 1) }()
	s.Close()
	if err := <-waited; err == nil {
		t.Error("a closed sink took a mail")
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- s.Serve(ctx) }()
	c := dial(t, s)
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	c.want("")
}
