package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// TestMain lets the test binary be the program: a process that a test can kill runs the same Run as main.
func TestMain(m *testing.M) {
	if os.Getenv("TOCSIN_TEST_AS_PROGRAM") == "" {
		flag.Parse()
		waitTogether()
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// waitTogether has several times as many tests run at once as usual, unless -parallel says how many: they mostly wait for
// processes.
func waitTogether() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(together*runtime.GOMAXPROCS(0)))
	}
}

// system is an installation of its own: servers, a sink that is the whole outside world, and the API.
type system struct {
	t        *testing.T
	services *local.Services
	sink     *sink.Sink
	gate     *gate
	server   *program
	env      []string
}

// program is a process of ours.
type program struct {
	*exec.Cmd
	done chan struct{}
	log  *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start sets up a system without workers. Its leases are a tenth of the usual, so that the work of a crashed worker is
// found soon. More variables of the environment may be given. Its servers are shared with other tests: a test that stops
// or flushes one wants startAlone.
func start(t *testing.T, more ...string) *system {
	t.Helper()
	return startOn(t, sharedServices(t), usualSink, more...)
}

// startAlone is start with servers that no other test uses.
func startAlone(t *testing.T, more ...string) *system {
	t.Helper()
	return startOn(t, testkit.OwnServices(t), usualSink, more...)
}

// sharedServices are a database and a queue on shared servers, which can't be stopped.
func sharedServices(t *testing.T) *local.Services {
	t.Helper()
	return &local.Services{DatabaseURL: testkit.Postgres(t), RedisURL: testkit.Redis(t)}
}

var usualSink = sink.Options{Keep: 100_000, SlowBy: 300 * time.Millisecond}

// startOn is start on these servers, with a sink of these options.
func startOn(t *testing.T, services *local.Services, o sink.Options, more ...string) *system {
	t.Helper()
	s := prepare(t, services, o, more...)
	s.server = s.launch("serve")
	s.must(nil, "notice", "list", "--json") // which tries until the server answers
	return s
}

// prepare is startOn without the API.
func prepare(t *testing.T, services *local.Services, o sink.Options, more ...string) *system {
	t.Helper()
	s := &system{t: t, services: services, gate: newGate(t)}
	if o.OnMail == nil {
		o.OnMail = s.gate.pass
	}
	s.sink = startSink(t, "127.0.0.1:0", o)
	api := freeAddress(t)
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"DATABASE_URL=" + s.services.DatabaseURL, "REDIS_URL=" + s.services.RedisURL,
		"TOCSIN_SMTP_URL=smtp://" + s.sink.Addr().String(), "TOCSIN_FROM=Example Status <status@example.net>",
		"TOCSIN_LISTEN=" + api, "TOCSIN_URL=http://" + api, "TOCSIN_TOKEN=s3cret", "TOCSIN_LEASE=6s", "TOCSIN_FIRST_RETRY=1s", "TOCSIN_DRAIN=5s",
	}
	s.env = append(s.env, more...)
	return s
}

// startSink starts a sink that takes mail until the test ends.
func startSink(t testing.TB, address string, o sink.Options) *sink.Sink {
	t.Helper()
	s := sink.New(o)
	if err := s.Listen(address); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return s
}

// with is the same system with more variables of the environment.
func (s *system) with(env ...string) *system {
	other := *s
	other.env = append(slices.Clip(s.env), env...)
	return &other
}

// freeAddress is one that nothing listens at, and nobody else is given: below the ports that systems give to those who
// ask for any.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if _, given := givenAddresses.LoadOrStore(address, true); given {
			continue
		}
		if ln, err := net.Listen("tcp", address); err == nil {
			ln.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

var givenAddresses sync.Map

// launch starts a process that ends with the test at the latest.
func (s *system) launch(args ...string) *program {
	s.t.Helper()
	return s.launchBinary(os.Args[0], args...)
}

// launchBinary is launch with another build of the program.
func (s *system) launchBinary(binary string, args ...string) *program {
	s.t.Helper()
	p := &program{Cmd: exec.Command(binary, args...), done: make(chan struct{}), log: &safeBuffer{}}
	p.Env = append(s.env, "TOCSIN_TEST_AS_PROGRAM=1", "GOGC="+os.Getenv("GOGC"), "GORACE="+os.Getenv("GORACE"))
	p.Stdout, p.Stderr = p.log, p.log
	p.SysProcAttr = &syscall.SysProcAttr{}
	dieWithUs(p.SysProcAttr)
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.Wait(); close(p.done) }()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", strings.Join(args, " "), lastLines(p.log.String(), 40))
		}
		if strings.Contains(p.log.String(), "DATA RACE") {
			s.t.Errorf("%s had a data race:\n%s", strings.Join(args, " "), p.log)
		}
	})
	return p
}

func lastLines(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (s *system) work() *program { return s.launch("work") }

// kill is kill -9.
func (p *program) kill() {
	p.Process.Kill()
	<-p.done
}

// stop is SIGTERM; it returns the exit code.
func (p *program) stop() int {
	p.Process.Signal(syscall.SIGTERM)
	<-p.done
	return p.ProcessState.ExitCode()
}

// run runs a command to its end.
func (s *system) run(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = Run(s.t.Context(), args, strings.NewReader(""), &out, &errs, s.env)
	return out.String(), errs.String(), code
}

// must runs a command that has to exit with 0, and reads its JSON into doc unless that is nil.
func (s *system) must(doc any, args ...string) {
	s.t.Helper()
	out, errs, code := s.run(args...)
	if code != 0 {
		s.t.Fatalf("tocsin %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	if doc != nil {
		s.decode(out, doc)
	}
}

// decode reads the one document that a command with --json prints.
func (s *system) decode(out string, doc any) {
	s.t.Helper()
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(doc); err != nil {
		s.t.Fatalf("%v in %s", err, out)
	}
	if _, err := d.Token(); err != io.EOF {
		s.t.Errorf("more than one document: %s", out)
	}
}

func (s *system) status(key string) (st notice.Status) {
	s.t.Helper()
	s.must(&st, "notice", "status", key, "--json")
	return st
}

// await waits until a status is as wanted, for ten minutes at most.
func (s *system) await(key, what string, want func(notice.Status) bool) notice.Status {
	s.t.Helper()
	client := s.client()
	deadline := time.Now().Add(10 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := client.Status(s.t.Context(), key, 0)
		if err == nil && want(st) {
			return st
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("notice %s is not %s after ten minutes: %+v, %v", key, what, st, err)
		}
		<-tick.C
	}
}

// underWay sends a notice, of which so many mails are through: the gate is shut for the others.
func (s *system) underWay(key string, through int) {
	s.t.Helper()
	s.gate.shut(through)
	s.must(nil, "notice", "send", s.notice(key), "--yes")
	s.gate.await()
}

func finished(st notice.Status) bool {
	return st.State.Finished() && st.Counts["queued"]+st.Counts["deferred"]+st.Counts["sending"] == 0
}

// write writes files below a fresh directory and returns it.
func (s *system) write(files map[string]string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return dir
}

// notice writes a notice directory with texts in en, nl and ar.
func (s *system) notice(key string, lines ...string) string {
	if !strings.Contains(strings.Join(lines, "\n"), "audience:") {
		lines = append(lines, "audience: all")
	}
	phase := "phase: identified\n"
	if strings.Contains(strings.Join(lines, "\n"), "phase:") {
		phase = ""
	}
	return s.write(map[string]string{
		"notice.yaml": "key: " + key + "\nkind: outage\n" + phase + "severity: major\n" + strings.Join(lines, "\n") + "\n",
		"en.md":       "---\nsubject: Mail is down on {{default \"your server\" .Customer.Attributes.server}}\n---\nDear {{.Customer.Name}},\n\nwe are on it.\n",
		"nl.md":       "---\nsubject: Mail ligt eruit\n---\nBeste {{.Customer.Name}},\n\nwe zijn ermee bezig.\n",
		"ar.md":       "---\nsubject: البريد متوقف\n---\nمرحبا {{.Customer.Name}}\n",
	})
}

// customers imports n customers c1…cn, one mailbox each, in en, nl and ar by turns.
func (s *system) customers(n int) {
	s.t.Helper()
	var b strings.Builder
	b.WriteString("id,name,email,language,time_zone,server\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "c%d,Customer %d,c%d@example.com,%s,Europe/Amsterdam,s%d\n", i, i, i, [...]string{"en", "nl", "ar"}[i%3], i%40)
	}
	file := filepath.Join(s.write(map[string]string{"customers.csv": b.String()}), "customers.csv")
	var r notice.ImportReport
	s.must(&r, "customers", "import", file, "--json")
	if r.Inserted != n {
		s.t.Fatalf("imported %+v, want %d", r, n)
	}
}

// delivered counts the mails in the sink per address key.
func (s *system) delivered() map[string][]sink.Mail {
	s.t.Helper()
	all := map[string][]sink.Mail{}
	for _, m := range s.sink.Mails() {
		for _, box := range s.boxes(m) {
			all[box] = append(all[box], m)
		}
	}
	return all
}

// boxes are the address keys of a mail's recipients.
func (s *system) boxes(m sink.Mail) (keys []string) {
	s.t.Helper()
	for _, to := range m.RcptTo {
		a, err := audience.ParseAddress(to)
		if err != nil {
			s.t.Fatalf("the sink got a mail for %q: %v", to, err)
		}
		keys = append(keys, a.Key())
	}
	return keys
}

// report reads a notice's deliveries.
func (s *system) report(key string) []notice.Delivery {
	s.t.Helper()
	var doc struct{ Deliveries []notice.Delivery }
	s.must(&doc, "report", key, "--format", "json")
	return doc.Deliveries
}

// settled checks the rules of any run: no mailbox got two mails, each sent mail is in the sink, each mail in the sink is
// sent or uncertain, and the counts add up.
func (s *system) settled(key string, mostUncertain int) notice.Status {
	s.t.Helper()
	st := s.status(key)
	sum := 0
	for _, n := range st.Counts {
		sum += n
	}
	if sum != st.Recipients {
		s.t.Errorf("the counts %v add up to %d, not to the %d recipients", st.Counts, sum, st.Recipients)
	}
	if n := st.Counts["uncertain"]; n > mostUncertain {
		s.t.Errorf("%d deliveries are uncertain, the faults explain %d at most", n, mostUncertain)
	}
	mails := s.delivered()
	rows := s.report(key)
	if len(rows) != st.Recipients {
		s.t.Errorf("the report has %d rows, the notice %d recipients", len(rows), st.Recipients)
	}
	for _, row := range rows {
		if row.State == notice.DeliverySuppressed {
			continue
		}
		a, err := audience.ParseAddress(row.Address)
		if err != nil {
			s.t.Fatal(err)
		}
		got := len(mails[a.Key()])
		switch {
		case got > 1:
			s.t.Errorf("a mailbox (delivery %d, %s) got %d mails", row.Seq, row.State, got)
		case row.State == notice.DeliverySent && got == 0:
			s.t.Errorf("delivery %d is sent, and its mailbox has nothing", row.Seq)
		case got == 1 && row.State != notice.DeliverySent && row.State != notice.DeliveryUncertain:
			s.t.Errorf("delivery %d is %s, and its mailbox has the mail", row.Seq, row.State)
		}
	}
	return st
}
