package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/examples"
	"tocsin/internal/api"
	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/notice"
)

// benchSystem is the system as it is shipped: the built binary in a process per part, a Postgres that waits for the
// disk, and Redis.
type benchSystem struct {
	b        *testing.B
	binary   string
	services *local.Services
	env      []string
	client   *api.Client
	serve    int            // process
	work     int            // process; 0 while there is none
	stop     func()         // ends the worker
	others   map[string]int // processes that are measured too, by name
	notices  int            // released so far
}

// figures measure one run.
type figures struct {
	mails   int
	took    time.Duration            // from the press to the last record
	planned time.Duration            // before the press
	first   time.Duration            // from the press to the first mail
	cpu     map[string]time.Duration // by process, from the press to the last record
	peak    int64                    // bytes of memory that the worker held at most
	latency []time.Duration          // of a status, while it was sending
}

func (f figures) rate() float64 { return float64(f.mails) / f.took.Seconds() }

func (f figures) perMail(process string) float64 {
	return float64(f.cpu[process].Microseconds()) / float64(f.mails)
}

func newBenchSystem(b *testing.B) *benchSystem {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	s := &benchSystem{b: b, binary: buildBinary(b), others: map[string]int{}}
	var err error
	s.services, err = local.Start(b.Context(), local.Options{})
	must(err)
	b.Cleanup(func() { s.services.Close() })
	_, err = ledger.Migrate(b.Context(), s.services.DatabaseURL)
	must(err)
	listen, err := freePort()
	must(err)
	s.env = append(withoutSettings(os.Environ()), "DATABASE_URL="+s.services.DatabaseURL, "REDIS_URL="+s.services.RedisURL,
		"TOCSIN_LISTEN="+listen, "TOCSIN_FROM="+demoFrom)
	s.serve, _, err = runBeside(b, s.env, s.binary, "serve")
	must(err)
	s.client, err = api.NewClient("http://"+listen, "", operator())
	must(err)
	must(s.client.Ready(b.Context()))
	return s
}

// discardSink starts tocsin sink --discard and measures it with the rest.
func (s *benchSystem) discardSink() (addr string, err error) {
	if addr, err = freePort(); err != nil {
		return "", err
	}
	pid, _, err := runBeside(s.b, s.env, s.binary, "sink", "--listen", addr, "--discard")
	s.others["sink"] = pid
	return addr, cmp.Or(err, awaitPort(addr))
}

// worker replaces the worker by one with other settings, and returns when that one is ready.
func (s *benchSystem) worker(relay string, marks int, file string, more ...string) (err error) {
	if s.stop != nil {
		s.stop()
	}
	health, err := freePort()
	if err != nil {
		return err
	}
	env := append(slices.Clone(s.env), "TOCSIN_MAX_OPEN_MARKS="+strconv.Itoa(marks), "TOCSIN_WORK_LISTEN="+health)
	if file == "" {
		env = append(env, "TOCSIN_SMTP_URL=smtp://"+relay)
	} else {
		path := filepath.Join(s.b.TempDir(), "tocsin.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			return err
		}
		env = append(env, "TOCSIN_CONFIG="+path)
	}
	if s.work, s.stop, err = runBeside(s.b, append(env, more...), s.binary, "work"); err != nil {
		return err
	}
	return cmp.Or(awaitPort(health), awaitReady("http://"+health+"/readyz"))
}

// awaitReady returns when a worker says that it is ready.
func awaitReady(url string) error {
	for range 100 {
		answer, err := http.Get(url)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the worker at %s is not ready", url)
}

// customers imports n made-up customers, each with a mailbox of its own, in three languages and over some domains, and
// the attribute tier.
func (s *benchSystem) customers(tier string, n, domains int) (took time.Duration, err error) {
	file, err := benchCustomers(tier, n, domains)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	report, err := s.client.ImportCustomers(s.b.Context(), bytes.NewReader(file), api.CustomerFile{Format: api.FormatCSV, ImportOptions: notice.ImportOptions{Strict: true}})
	if err == nil && report.Inserted != n {
		err = fmt.Errorf("imported %d of %d", report.Inserted, n)
	}
	return time.Since(began), err
}

var benchLanguages = []string{"de", "en", "nl"}

// benchCustomers makes a file of n customers. Of a hundred, two share a mailbox.
func benchCustomers(tier string, n, domains int) ([]byte, error) {
	file, err := examples.FS.Open("customers.csv")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	header := rows[0]
	rows = slices.DeleteFunc(rows[1:], func(row []string) bool { return !slices.Contains(benchLanguages, row[4]) })
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.Write(append(slices.Clone(header), "tier"))
	for i := range n {
		row := slices.Clone(rows[i%len(rows)])
		row[0], row[3] = fmt.Sprintf("%s%07d", tier, i), ""
		mailbox := i
		if i%100 == 99 {
			mailbox--
		}
		row[2] = fmt.Sprintf("somebody.%07d@%s-%02d.example.com", mailbox, tier, mailbox%domains)
		w.Write(append(row, tier))
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// analyze has the planner's statistics taken anew: they know nothing of the notices to come.
func (s *benchSystem) analyze() error {
	conn, err := pgx.Connect(s.b.Context(), s.services.DatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(s.b.Context())
	_, err = conn.Exec(s.b.Context(), "ANALYZE")
	return err
}

// draft makes the next notice: the example's texts in three languages, for the customers of a tier.
func (s *benchSystem) draft(ctx context.Context, tier string) (key string, err error) {
	body, err := demoBody()
	if err != nil {
		return "", err
	}
	s.notices++
	body.Key = fmt.Sprintf("bench-%d", s.notices)
	body.Incident, body.BrokenDomains, body.Audience = "", nil, notice.Audience{Filter: fmt.Sprintf("tier = %q", tier)}
	maps.DeleteFunc(body.Texts, func(language string, _ notice.Text) bool { return !slices.Contains(benchLanguages, language) })
	_, err = s.client.Draft(ctx, body)
	return body.Key, err
}

// send sends a notice to a tier and measures it from the press to the last record.
func (s *benchSystem) send(tier string, watch time.Duration) (f figures, err error) {
	ctx, cancel := context.WithTimeout(s.b.Context(), 15*time.Minute)
	defer cancel()
	key, err := s.draft(ctx, tier)
	if err != nil {
		return f, err
	}
	began := time.Now()
	plan, err := s.client.PreviewDraft(ctx, key)
	if err != nil {
		return f, err
	}
	f.planned = time.Since(began)
	before := s.cpu()
	pressed := time.Now()
	receipt, err := s.client.Release(ctx, key, notice.Releasing{Plan: plan.Digest})
	if err != nil {
		return f, err
	}
	st := receipt.Status
	for !st.State.Finished() {
		asked := time.Now()
		if st, err = s.client.Status(ctx, key, watch); err != nil {
			return f, err
		}
		if watch == 0 {
			f.latency = append(f.latency, time.Since(asked))
			time.Sleep(200 * time.Millisecond)
		}
	}
	f.cpu = s.cpu()
	for name := range f.cpu {
		f.cpu[name] -= before[name]
	}
	if f.mails = st.Counts[notice.DeliverySent.String()]; f.mails != st.Recipients || f.mails == 0 {
		return f, fmt.Errorf("%d of %d were sent: %v", f.mails, st.Recipients, st.Counts)
	}
	f.took, f.first, f.peak = st.LastSentAt.Sub(pressed), st.FirstSentAt.Sub(pressed), peakOf(s.work)
	return f, nil
}

func (s *benchSystem) cpu() map[string]time.Duration {
	all := map[string]time.Duration{"work": cpuOf(s.work), "serve": cpuOf(s.serve),
		"postgres": cpuOf(s.services.PostgresPID()), "redis": cpuOf(s.services.RedisPID())}
	for name, pid := range s.others {
		all[name] = cpuOf(pid)
	}
	return all
}

// pause presses pause amid a notice and returns how long after it the last mail was recorded.
func (s *benchSystem) pause(tier string) (after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(s.b.Context(), 5*time.Minute)
	defer cancel()
	key, err := s.draft(ctx, tier)
	if err != nil {
		return 0, err
	}
	if _, err := s.client.Release(ctx, key, notice.Releasing{}); err != nil {
		return 0, err
	}
	for {
		st, err := s.client.Status(ctx, key, 0)
		if err != nil {
			return 0, err
		}
		if st.Counts["sent"] > st.Recipients/10 {
			break
		}
	}
	pressed := time.Now()
	st, err := s.client.Pause(ctx, key)
	for err == nil && st.Counts["sending"] > 0 {
		st, err = s.client.Status(ctx, key, 0)
	}
	if err != nil {
		return 0, err
	}
	after = st.LastSentAt.Sub(pressed)
	_, err = s.client.Cancel(ctx, key)
	return max(0, after), err
}

// buildBinary builds the same program as make build.
func buildBinary(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tocsin")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// runBeside starts a process that ends when stop is called, or with us.
func runBeside(b *testing.B, env []string, binary string, args ...string) (pid int, stop func(), err error) {
	log := &safeBuffer{}
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithUs(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	stop = func() { cmd.Process.Kill(); cmd.Wait() }
	b.Cleanup(func() {
		stop()
		if b.Failed() {
			b.Logf("%s said:\n%s", strings.Join(args, " "), lastLines(log.String(), 20))
		}
	})
	return cmd.Process.Pid, stop, nil
}
