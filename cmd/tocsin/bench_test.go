package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/examples"
	"tocsin/internal/api"
	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/notice"
)

const (
	benchRecipients = 50_000
	benchWorkers    = 2
	benchRuns       = 3
)

// BenchmarkSystem measures the system as it is shipped: the built binary in a process per part, a Postgres that
// waits for the disk, Redis, and the example notice with its eight languages into tocsin sink --discard. The clock
// runs from released_at to last_sent_at. It prints the median of its runs:
//
//	make bench
func BenchmarkSystem(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("what a process takes is read from /proc")
	}
	binary := buildBinary(b)
	var runs []benchRun
	for range benchRuns {
		r, err := measure(b, binary)
		if err != nil {
			b.Fatal(err)
		}
		runs = append(runs, r)
		fmt.Printf("run %d: %s mails/s\n", len(runs), count(int(r.rate())))
	}
	slices.SortFunc(runs, func(x, y benchRun) int { return int(x.took - y.took) })
	median := runs[len(runs)/2]
	median.print(os.Stdout)
	b.ReportMetric(median.rate(), "mails/s")
	b.ReportMetric(0, "ns/op")
}

// benchRun is what one run took.
type benchRun struct {
	took  time.Duration
	parts []benchPart
}

// benchPart is what one part of the system took in a run.
type benchPart struct {
	name   string
	pid    int
	cpu    time.Duration
	memory int64 // bytes at its peak
}

func (r benchRun) rate() float64 { return benchRecipients / r.took.Seconds() }

func (r benchRun) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s mails/s: %s recipients in %.2f s, the median of %d runs on %d cores\n\n",
		count(int(r.rate())), count(benchRecipients), r.took.Seconds(), benchRuns, runtime.NumCPU())
	fmt.Fprintf(w, "%-10s %14s %14s\n", "process", "CPU µs a mail", "peak MiB")
	var cpu, memory float64
	for _, p := range r.parts {
		c, m := float64(p.cpu.Microseconds())/benchRecipients, float64(p.memory)/(1<<20)
		cpu, memory = cpu+c, memory+m
		fmt.Fprintf(w, "%-10s %14.1f %14.0f\n", p.name, c, m)
	}
	fmt.Fprintf(w, "%-10s %14.1f %14.0f\n\n", "all", cpu, memory)
}

// buildBinary builds what make build builds.
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

// measure sets up a system, sends one notice through it, and takes it down.
func measure(b *testing.B, binary string) (r benchRun, err error) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	services, err := local.Start(ctx, local.Options{})
	if err != nil {
		return r, err
	}
	defer services.Close()
	if _, err := ledger.Migrate(ctx, services.DatabaseURL); err != nil {
		return r, err
	}
	listen, err := freePort()
	if err != nil {
		return r, err
	}
	relay, err := freePort()
	if err != nil {
		return r, err
	}
	var stops []func()
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	env := append(withoutSettings(os.Environ()),
		"DATABASE_URL="+services.DatabaseURL, "REDIS_URL="+services.RedisURL, "TOCSIN_LISTEN="+listen,
		"TOCSIN_FROM="+demoFrom, "TOCSIN_SMTP_URL=smtp://"+relay)
	launch := func(name string, args ...string) error {
		pid, stop, err := runBeside(b, env, binary, args...)
		if err == nil {
			stops = append(stops, stop)
		}
		r.parts = append(r.parts, benchPart{name: name, pid: pid})
		return err
	}
	if err := launch("sink", "sink", "--listen", relay, "--discard"); err != nil {
		return r, err
	}
	if err := launch("serve", "serve"); err != nil {
		return r, err
	}
	for n := range benchWorkers {
		if err := launch(fmt.Sprintf("work %d", n+1), "work"); err != nil {
			return r, err
		}
	}
	r.parts = append(r.parts, benchPart{name: "postgres", pid: services.PostgresPID()}, benchPart{name: "redis", pid: services.RedisPID()})
	client, err := api.NewClient("http://"+listen, "", operator())
	if err != nil {
		return r, err
	}
	return r, r.send(ctx, client)
}

// send sends the notice and reads what that took.
func (r *benchRun) send(ctx context.Context, client *api.Client) error {
	body, err := prepareBench(ctx, client)
	if err != nil {
		return err
	}
	for i := range r.parts {
		r.parts[i].cpu = -cpuOf(r.parts[i].pid)
	}
	receipt, err := client.Release(ctx, body.Key)
	if err != nil {
		return err
	}
	st := receipt.Status
	for !st.State.Finished() {
		if st, err = client.Status(ctx, body.Key, time.Second); err != nil {
			return err
		}
		for i, p := range r.parts {
			r.parts[i].memory = max(p.memory, memoryOf(p.pid))
		}
	}
	for i, p := range r.parts {
		r.parts[i].cpu += cpuOf(p.pid)
	}
	if sent := st.Counts[notice.DeliverySent.String()]; sent != benchRecipients {
		return fmt.Errorf("%d of %d were sent: %v", sent, benchRecipients, st.Counts)
	}
	r.took = st.LastSentAt.Sub(*st.ReleasedAt)
	return nil
}

// prepareBench imports the customers and makes the draft.
func prepareBench(ctx context.Context, client *api.Client) (notice.Body, error) {
	if err := client.Ready(ctx); err != nil {
		return notice.Body{}, err
	}
	customers, err := benchCustomers()
	if err != nil {
		return notice.Body{}, err
	}
	report, err := client.ImportCustomers(ctx, bytes.NewReader(customers), api.FormatCSV, true)
	if err != nil || report.Inserted != benchRecipients {
		return notice.Body{}, fmt.Errorf("imported %d of %d: %v", report.Inserted, benchRecipients, err)
	}
	body, err := demoBody()
	if err != nil {
		return body, err
	}
	body.Audience = notice.Audience{}
	_, err = client.Draft(ctx, body)
	return body, err
}

// benchCustomers are the example's customers again and again, each with a mailbox of its own.
func benchCustomers() ([]byte, error) {
	file, err := examples.FS.Open("customers.csv")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.Write(rows[0])
	for i := range benchRecipients {
		row := slices.Clone(rows[1+i%(len(rows)-1)])
		row[0], row[2], row[3] = fmt.Sprintf("B%06d", i), fmt.Sprintf("somebody.%06d@example.com", i), ""
		w.Write(row)
	}
	w.Flush()
	return out.Bytes(), w.Error()
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
	b.Cleanup(func() {
		if b.Failed() {
			b.Logf("%s said:\n%s", strings.Join(args, " "), lastLines(log.String(), 20))
		}
	})
	return cmd.Process.Pid, func() { cmd.Process.Kill(); cmd.Wait() }, nil
}

// cpuOf is the processor time of a process and all its children, those that have ended too.
func cpuOf(pid int) time.Duration {
	ticks := 0
	for _, p := range append(childrenOf(pid), pid) {
		fields := statOf(p)
		if len(fields) < 15 {
			continue
		}
		for _, f := range fields[11:15] { // utime, stime, cutime, cstime of proc(5)
			n, _ := strconv.Atoi(f)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
}

// statOf returns /proc/PID/stat from the state on, which is field 3.
func statOf(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

func childrenOf(parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if fields := statOf(pid); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// memoryOf is what a process held at its peak. Of one with children, which share much of it, it is what they hold
// now, each page divided by those who share it.
func memoryOf(pid int) (bytes int64) {
	children := childrenOf(pid)
	if len(children) == 0 {
		return kibibytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:")
	}
	for _, p := range append(children, pid) {
		bytes += kibibytes(fmt.Sprintf("/proc/%d/smaps_rollup", p), "Pss:")
	}
	return bytes
}

// kibibytes reads a line such as "VmHWM:  1234 kB" of a file.
func kibibytes(path, name string) int64 {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}
