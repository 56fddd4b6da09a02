package intake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

func serve(t *testing.T, b *bundle, o Listening, l limits) (s *Server, stop func()) {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	o.Domains = []string{"returns.example.net"}
	s, err := b.newServer(o, l)
	if err != nil {
		t.Fatal(err)
	}
	return s, run(t, s)
}

func dial(t *testing.T, s *Server) *smtp.Client {
	t.Helper()
	conn, err := net.Dial(s.Addr().Network(), s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := smtp.NewClient(conn)
	if s.o.LMTP {
		c = smtp.NewClientLMTP(conn)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// code is that of an SMTP reply: 250 for nil.
func code(err error) int {
	if err == nil {
		return 250
	}
	if e, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return e.Code
	}
	return 0
}

// send hands over a mail, and returns the code of the answer.
func send(c *smtp.Client, from, text string, to ...string) int {
	return code(c.SendMail(from, to, strings.NewReader(text)))
}

func TestSMTP(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	s, _ := serve(t, b, Listening{}, usual)
	c := dial(t, s)
	const token = "bounces+abc@returns.example.net"
	for subject, want := range map[string]int{"ok": 250, "later": 451, "denied": 451, "poison": 554} {
		if got := send(c, "", letter(subject), token); got != want {
			t.Errorf("%s: %d, want %d", subject, got, want)
		}
		c.Reset()
	}
	for _, foreign := range []string{"bounces@example.net", "x@sub.returns.example.net", "bounces@returns.example.net@example.org"} {
		if got := send(c, "", letter("foreign"), foreign); got != 550 {
			t.Errorf("%s: %d, want 550", foreign, got)
		}
		c.Reset()
	}
	if got := send(c, "jürgen@example.org", letter("two"), "bounces+a@Returns.Example.NET", token); got != 250 {
		t.Errorf("a person's answer to two: %d", got)
	}
	taken, _ := b.mails()
	want := []string{
		"Return-Path: <>\r\nDelivered-To: " + token + "\r\n" + letter("ok"),
		"Return-Path: <jürgen@example.org>\r\nDelivered-To: bounces+a@Returns.Example.NET\r\nDelivered-To: " + token + "\r\n" + letter("two"),
	}
	if len(taken) != 2 || taken[0] != want[0] || taken[1] != want[1] {
		t.Errorf("taken are %q, want %q", taken, want)
	}
	if ok, _ := c.Extension("SMTPUTF8"); !ok {
		t.Error("SMTPUTF8 is not offered")
	}
	if ok, _ := c.Extension("8BITMIME"); !ok {
		t.Error("8BITMIME is not offered")
	}
}

func TestLMTPAtASocket(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	path := filepath.Join(t.TempDir(), "lmtp")
	dead, err := net.Listen("unix", path) // a dead process leaves its socket
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	s, stop := serve(t, b, Listening{Addr: path, LMTP: true}, usual)
	if _, err := b.NewServer(Listening{Addr: path, LMTP: true}); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("a second server at one socket: %v", err)
	}
	c := dial(t, s)
	for _, step := range []error{c.Mail("", nil), c.Rcpt("a@returns.example.net", nil), c.Rcpt("b@returns.example.net", nil)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if err := c.Rcpt("c@example.org", nil); code(err) != 550 {
		t.Error(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, letter("ok"))
	answers, err := w.CloseWithLMTPResponse()
	if taken, _ := b.mails(); err != nil || len(taken) != 1 || len(answers) != 2 {
		t.Errorf("%d taken, answers %v, %v", len(taken), answers, err)
	}
	stop()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket stays behind")
	}
}

func TestALongMailIsReadInPartAndTaken(t *testing.T) { // not together with others: it measures memory
	b := newBundle(t)
	s, _ := serve(t, b, Listening{}, usual)
	c := dial(t, s)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	// A line of 16 MiB behind the report.
	body := io.MultiReader(strings.NewReader(letter("long")), io.LimitReader(endless{}, 16<<20))
	if err := c.SendMail("", []string{"a@returns.example.net"}, body); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if taken, _ := b.mails(); len(taken) != 1 || len(taken[0]) != MaxMail || !strings.Contains(taken[0], "Subject: long") {
		t.Errorf("%d mails", len(taken))
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 15<<20 {
		t.Errorf("%d MiB were allocated for a mail of 16 MiB", grown>>20)
	}
	if send(c, "", letter("next"), "a@returns.example.net") != 250 {
		t.Error("the next mail of the connection is not taken")
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// talk sends lines and returns all that is answered until the connection ends.
func talk(t *testing.T, s *Server, lines string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(conn, lines)
	said, _ := io.ReadAll(conn)
	return string(said)
}

func TestLimitsOfConnections(t *testing.T) {
	t.Parallel()
	const begin = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@returns.example.net>\r\n"
	for name, tt := range map[string]struct {
		limits func(*limits)
		says   string
		want   string // that is among the answers
	}{
		"a client that says nothing":        {func(l *limits) { l.idle = 50 * time.Millisecond }, "", "421 4.4.2"},
		"a client that stalls in a mail":    {func(l *limits) { l.idle = 50 * time.Millisecond }, begin + "DATA\r\nSubject: half\r\n", "451 4.4.2"},
		"a client that stalls in a chunk":   {func(l *limits) { l.idle = 50 * time.Millisecond }, begin + "BDAT 100 LAST\r\nSubject: half\r\n", "421 4.4.2"},
		"a client that never ends":          {func(l *limits) { l.life = 50 * time.Millisecond }, begin, "421 4.4.2"},
		"commands without end":              {func(l *limits) { l.commands = 1000 }, "EHLO x\r\n" + strings.Repeat("NOOP\r\n", 1000), "421 4.4.0"},
		"a command without end":             {func(l *limits) { l.commands = 10_000 }, strings.Repeat("x", 1<<20), "421 4.4.0"},
		"recipients that are not ours":      {func(l *limits) { l.recipients = 5 }, begin + strings.Repeat("RCPT TO:<a@example.org>\r\n", 100), "421 4.7.0"},
		"mails without end":                 {func(l *limits) { l.mails = 2 }, "EHLO x\r\n" + strings.Repeat("MAIL FROM:<>\r\nRSET\r\n", 10), "421 4.7.0"},
		"something else than SMTP":          {func(*limits) {}, "GET / HTTP/1.1\r\n" + strings.Repeat("Header: x\r\n", 100), "500 5.5.1 Too many errors"},
		"a chunk that never comes complete": {func(l *limits) { l.life = 100 * time.Millisecond }, begin + "BDAT 5\r\nabcde", "421 4.4.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			l := usual
			tt.limits(&l)
			s, _ := serve(t, b, Listening{}, l)
			if said := talk(t, s, tt.says); !strings.Contains(said, "\n"+tt.want) {
				t.Errorf("it says %.500q, want %s", said, tt.want)
			}
			if taken, _ := b.mails(); len(taken) != 0 {
				t.Errorf("taken are %q", taken)
			}
		})
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	l := usual
	l.connections = 2
	s, _ := serve(t, b, Listening{}, l)
	first, second := dial(t, s), dial(t, s)
	for _, c := range []*smtp.Client{first, second} {
		if err := c.Hello("x"); err != nil {
			t.Fatal(err)
		}
	}
	if said := talk(t, s, ""); !strings.HasPrefix(said, "421 4.3.2 ") {
		t.Errorf("the third hears %q", said)
	}
	first.Quit()
	first.Close()
	for deadline := time.Now().Add(time.Minute); ; {
		c := dial(t, s)
		if c.Hello("x") == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of one that has gone is not free")
		}
	}
}

// TestTheEndFinishesMailsUnderWay has three clients when the end is asked for: one idles, one has its mail handed over, one
// is in the middle of it.
func TestTheEndFinishesMailsUnderWay(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	s, stop := serve(t, b, Listening{}, usual)
	idle := dial(t, s)
	if err := idle.Hello("x"); err != nil {
		t.Fatal(err)
	}
	answer := make(chan int)
	handed := dial(t, s)
	go func() { answer <- send(handed, "", letter("slow"), "a@returns.example.net") }()
	b.awaitBegun(t)

	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	fmt.Fprint(conn, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@returns.example.net>\r\nDATA\r\nSubject: half\r\n")
	for line := ""; !strings.HasPrefix(line, "354"); {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	waitInMail(t, s, 2)

	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	if err := idle.Noop(); err == nil {
		err = idle.Noop() // the first may have been read before
		if err == nil {
			t.Error("an idle client goes on")
		}
	}
	b.may <- struct{}{}
	if got := <-answer; got != 250 {
		t.Errorf("a mail that was handed over hears %d", got)
	}
	fmt.Fprint(conn, "\r\nthe rest\r\n.\r\n")
	rest, _ := io.ReadAll(r)
	if !strings.HasPrefix(string(rest), "250 ") {
		t.Errorf("a mail in the middle hears %q", rest)
	}
	<-ended
	if taken, _ := b.mails(); len(taken) != 2 {
		t.Errorf("%d were taken", len(taken))
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

// waitInMail waits until n connections are handing over a mail.
func waitInMail(t *testing.T, s *Server, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		in := 0
		for _, c := range s.ln.all(false) {
			if c.inMail.Load() {
				in++
			}
		}
		if in == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d mails are under way, want %d", in, n)
		}
	}
}

// TestTheEndDoesNotWaitForEver for a client that stalls in its mail.
func TestTheEndDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	l := usual
	l.drain = 50 * time.Millisecond
	s, stop := serve(t, b, Listening{}, l)
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@returns.example.net>\r\nDATA\r\nSubject: half\r\n")
	waitInMail(t, s, 1)
	stop()
	if taken, _ := b.mails(); len(taken) != 0 {
		t.Errorf("taken are %q", taken)
	}
}

func FuzzSMTP(f *testing.F) {
	f.Add("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@returns.example.net>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n")
	f.Add("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@returns.example.net>\r\nBDAT 4 LAST\r\nabcdQUIT\r\n")
	f.Fuzz(func(t *testing.T, lines string) {
		b := newBundle(t)
		l := usual
		l.idle, l.drain = 20*time.Millisecond, 20*time.Millisecond
		s, stop := serve(t, b, Listening{}, l)
		talk(t, s, lines)
		stop()
		taken, _ := b.mails()
		for _, mail := range taken {
			if !strings.HasPrefix(mail, "Return-Path: <") || !strings.Contains(mail, "\r\nDelivered-To: ") || len(mail) > MaxMail {
				t.Errorf("taken is %.200q", mail)
			}
		}
	})
}
