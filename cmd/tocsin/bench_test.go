package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/sink"
)

var (
	benchRecipients = flag.Int("bench.recipients", 50_000, "recipients of a notice in the benchmark")
	benchRounds     = flag.Int("bench.rounds", 3, "how often each of the benchmark's comparisons runs")
	benchLarge      = flag.Int("bench.large", 1_000_000, "recipients of the benchmark's one large notice; 0 leaves it out")
)

const (
	benchConnections = 32
	benchRoundTrip   = 20 * time.Millisecond
)

// BenchmarkSystem compares the system as it is shipped with Postfix's smtp-source on the same machine in the same
// minutes. smtp-source sends one fixed mail and keeps no account of it. Start it with:
//
//	make bench
//
// The clock runs from the press (the call that releases the plan of the notice) to the last record in the ledger.
func BenchmarkSystem(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("what a process takes is read from /proc")
	}
	for _, name := range []string{"smtp-source", "smtp-sink"} {
		if _, err := postfixProgram(name); err != nil {
			b.Fatal(err)
		}
	}
	s := newBenchSystem(b)
	mail := s.capture()
	imported, err := s.customers("first", *benchRecipients, 1)
	s.check(err)
	fmt.Printf("%d cores; a mail of %.1f KB in %s; %d recipients a notice, %d rounds\n", runtime.NumCPU(), s.size(mail),
		strings.Join(benchLanguages, ", "), *benchRecipients, *benchRounds)
	fmt.Printf("import: %.0f rows/s\n", float64(*benchRecipients)/imported.Seconds())

	fast, err := s.discardSink()
	s.check(err)
	postfix, err := smtpSink(b)
	s.check(err)
	s.floors(mail, fast)
	s.growth(fast)
	s.compare("fast sink", fast, mail, *benchRecipients)
	s.compare("smtp-sink", postfix, mail, *benchRecipients)
	s.signatures(fast)
	s.roundTrips(mail)
	s.limits(fast)
	s.stops(fast)
	s.large(fast)
	b.ReportMetric(0, "ns/op")
}

func (s *benchSystem) check(err error) {
	s.b.Helper()
	if err != nil {
		s.b.Fatal(err)
	}
}

// capture returns a file with a mail of the benchmark's notice, for smtp-source.
func (s *benchSystem) capture() string {
	taken := make(chan string, 1)
	relay := s.sink(sink.Options{OnMail: func(m sink.Mail) { taken <- m.Raw }})
	s.check(s.worker(relay, 64, ""))
	_, err := s.customers("one", 1, 1)
	s.check(err)
	_, err = s.send("one", time.Second)
	s.check(err)
	file, err := saveForSource(s.b, <-taken)
	s.check(err)
	return file
}

// sink starts a sink in this process and returns its address.
func (s *benchSystem) sink(o sink.Options) string {
	s.b.Helper()
	return startSink(s.b, "127.0.0.1:0", o).Addr().String()
}

func (s *benchSystem) size(file string) float64 {
	info, err := os.Stat(file)
	s.check(err)
	return float64(info.Size()) / 1000
}

// floors prints the least that the parts can take: smtp-source's client, and Postgres for two bits a mail.
func (s *benchSystem) floors(mail, relay string) {
	f, err := sourceRun(relay, mail, *benchRecipients, benchConnections)
	s.check(err)
	fmt.Printf("floors: smtp-source %.1f µs of CPU a mail; ", f.perMail("smtp-source"))
	conn, err := pgx.Connect(s.b.Context(), s.services.DatabaseURL)
	s.check(err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(s.b.Context(), `CREATE TABLE bench_floor (id int PRIMARY KEY, dots varbit, sent varbit) WITH (fillfactor = 10)`)
	s.check(err)
	_, err = conn.Exec(s.b.Context(), `INSERT INTO bench_floor SELECT n, repeat('0', 256)::varbit, repeat('0', 256)::varbit FROM generate_series(0, $1::int / 256) n`, *benchRecipients)
	s.check(err)
	const batch = 64
	before := cpuOf(s.services.PostgresPID())
	for n := 0; n < *benchRecipients; n += batch {
		bits := strings.Repeat("0", n%256) + strings.Repeat("1", batch) + strings.Repeat("0", 256-batch-n%256)
		for _, column := range []string{"dots", "sent"} {
			_, err = conn.Exec(s.b.Context(), `UPDATE bench_floor SET `+column+` = `+column+` | $2::varbit WHERE id = $1`, n/256, bits)
			s.check(err)
		}
	}
	_, err = conn.Exec(s.b.Context(), `DROP TABLE bench_floor`)
	s.check(err)
	used := cpuOf(s.services.PostgresPID()) - before
	fmt.Printf("Postgres, two bits a mail in commits of %d: %.1f\n", batch, float64(used.Microseconds())/float64(*benchRecipients))
}

// growth compares the third notice after the statistics were taken with the first.
func (s *benchSystem) growth(relay string) {
	s.check(s.worker(relay, 64, ""))
	var took []time.Duration
	for range 3 {
		f, err := s.send("first", 100*time.Millisecond)
		s.check(err)
		took = append(took, f.took)
		s.check(s.analyze())
	}
	fmt.Printf("third notice after ANALYZE: %.2f × the first\n", took[2].Seconds()/took[0].Seconds())
}

// compare runs smtp-source and Tocsin in turns into one sink.
func (s *benchSystem) compare(name, relay, mail string, mails int) {
	runs := map[string][]figures{}
	for range *benchRounds {
		f, err := sourceRun(relay, mail, mails, benchConnections)
		s.check(err)
		runs["smtp-source"] = append(runs["smtp-source"], f)
		for _, marks := range []int{64, 256} {
			s.check(s.worker(relay, marks, ""))
			f, err := s.send("first", 50*time.Millisecond)
			s.check(err)
			runs[fmt.Sprintf("%d open marks", marks)] = append(runs[fmt.Sprintf("%d open marks", marks)], f)
		}
	}
	fmt.Printf("\n%s\n", name)
	printRuns(runs, "smtp-source")
}

// printRuns prints medians, and the rate as a multiple of that of one of the runs.
func printRuns(runs map[string][]figures, yardstick string) {
	yard := median(runs[yardstick], figures.rate)
	fmt.Printf("  %-16s %9s %8s   µs of CPU a mail\n", "", "mails/s", "×")
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		rate := median(runs[name], figures.rate)
		fmt.Printf("  %-16s %9.0f %8.2f  ", name, rate, rate/yard)
		for _, process := range slices.Sorted(maps.Keys(runs[name][0].cpu)) {
			fmt.Printf(" %s %.1f", process, median(runs[name], func(f figures) float64 { return f.perMail(process) }))
		}
		if first := median(runs[name], func(f figures) float64 { return f.first.Seconds() }); first > 0 {
			fmt.Printf("; first mail after %.2f s", first)
		}
		if peak := median(runs[name], func(f figures) float64 { return float64(f.peak) / 1e6 }); peak > 0 {
			fmt.Printf("; worker at most %.0f MB", peak)
		}
		fmt.Println()
	}
}

func median(runs []figures, of func(figures) float64) float64 {
	values := make([]float64, len(runs))
	for i, f := range runs {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// roundTrips compares both behind a proxy that delays, over as many connections; smtp-source speaks no TLS.
func (s *benchSystem) roundTrips(mail string) {
	certificates := newCertificates(s.b)
	plain, err := delayed(s.b, s.sink(sink.Options{Discard: true}), benchRoundTrip)
	s.check(err)
	secure, err := delayed(s.b, s.sink(sink.Options{Discard: true, TLS: &tls.Config{Certificates: []tls.Certificate{certificates.valid}}}), benchRoundTrip)
	s.check(err)
	_, err = s.customers("far", *benchRecipients/5, 1)
	s.check(err)
	runs := map[string][]figures{}
	for range *benchRounds {
		f, err := sourceRun(plain, mail, *benchRecipients/25, benchConnections)
		s.check(err)
		runs["smtp-source"] = append(runs["smtp-source"], f)
		for name, relay := range map[string]string{"plain": plain, "TLS": secure} {
			file := fmt.Sprintf("from: %q\nrelays:\n  - {name: far, url: \"smtp://%s\", connections: %d}\n", demoFrom, relay, benchConnections)
			s.check(s.worker("", 256, file, "SSL_CERT_FILE="+certificates.authority))
			f, err := s.send("far", 50*time.Millisecond)
			s.check(err)
			runs[name] = append(runs[name], f)
		}
	}
	fmt.Printf("\nround trip of %s, %d connections, 256 open marks\n", benchRoundTrip, benchConnections)
	printRuns(runs, "smtp-source")
}

// limits sends to thirty domains with a limit each.
func (s *benchSystem) limits(relay string) {
	const domains, rate = 30, 100
	n := domains * rate * 4
	_, err := s.customers("limited", n, domains)
	s.check(err)
	file := fmt.Sprintf("from: %q\nrelays:\n  - {name: fast, url: \"smtp://%s\"}\nlimits:\n", demoFrom, relay)
	for d := range domains {
		file += fmt.Sprintf("  - {domain: limited-%02d.example.com, rate: %d/s}\n", d, rate)
	}
	s.check(s.worker("", 64, file))
	f, err := s.send("limited", 50*time.Millisecond)
	s.check(err)
	fmt.Printf("\nthirty domains at %d/s each: %.0f mails/s, %.2f of the sum of the limits; work %.1f, redis %.1f µs of CPU a mail\n",
		rate, f.rate(), f.rate()/(domains*rate), f.perMail("work"), f.perMail("redis"))
}

// stops measures how long after the press of pause mails still leave.
func (s *benchSystem) stops(relay string) {
	s.check(s.worker(relay, 64, ""))
	var worst time.Duration
	for range *benchRounds {
		after, err := s.pause("first")
		s.check(err)
		worst = max(worst, after)
	}
	fmt.Printf("pause until the last mail is recorded: %d ms, the worst of %d\n", worst.Milliseconds(), *benchRounds)
}

// large sends one notice to a million.
func (s *benchSystem) large(relay string) {
	if *benchLarge == 0 {
		return
	}
	imported, err := s.customers("large", *benchLarge, 1)
	s.check(err)
	s.check(s.analyze())
	s.check(s.worker(relay, 64, ""))
	small, err := s.send("first", 50*time.Millisecond)
	s.check(err)
	s.check(s.worker(relay, 64, ""))
	f, err := s.send("large", 0)
	s.check(err)
	slices.Sort(f.latency)
	fmt.Printf("\n%d recipients (imported at %.0f rows/s): planned in %.1f s, first mail %.2f s after the press, %.0f mails/s, a mail %.2f × as long as at %d; worker at most %.0f MB\n",
		*benchLarge, float64(*benchLarge)/imported.Seconds(), f.planned.Seconds(), f.first.Seconds(), f.rate(),
		small.rate()/f.rate(), *benchRecipients, float64(f.peak)/1e6)
	fmt.Printf("status while sending: median %d ms, worst %d ms of %d\n", f.latency[len(f.latency)/2].Milliseconds(),
		f.latency[len(f.latency)-1].Milliseconds(), len(f.latency))
}
