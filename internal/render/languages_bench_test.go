package render

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/internal/notice"
)

// BenchmarkLanguages fills in mails, as a worker does with those that a plan has kept. They go to readers of few
// languages, and of all, in turn. The last also says how many times the CPU seconds of a mail in German a mail takes
// then. Both are measured in one run, in many short rounds one after the other, and their medians are compared: a
// machine that others use too changes its pace.
func BenchmarkLanguages(b *testing.B) {
	p := compile(b, usualNotice())
	for _, of := range []struct {
		name string
		keys []string
	}{{"latin", []string{"de", "fr", "nl"}}, {"other scripts", []string{"hi", "ar", "ja"}}, {"mixed", thirty}} {
		b.Run(of.name, func(b *testing.B) {
			mail := inTurn(b, p, of.keys)
			b.ReportAllocs()
			for b.Loop() {
				mail()
			}
		})
	}
	b.Run("mixed to one", func(b *testing.B) {
		one, mixed := inTurn(b, p, []string{"de"}), inTurn(b, p, thirty)
		var ones, all []time.Duration
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for b.Loop() {
			ones, all = append(ones, round(b, one)), append(all, round(b, mixed))
		}
		b.ReportMetric(float64(median(all))/float64(median(ones)), "mixed/one")
	})
}

// inTurn returns a function that renders a mail in the next of some languages.
func inTurn(b *testing.B, p *Program, keys []string) (mail func()) {
	var readers []notice.Recipient
	var mails []*Mail
	for _, key := range keys {
		r := recipient("Bakkerij De Vries", nil)
		r.Language = key
		text, _ := p.Match(key)
		m, err := p.Compiled(r, text)
		if err != nil {
			b.Fatal(err)
		}
		readers, mails = append(readers, r), append(mails, m)
	}
	var buf []byte
	i := 0
	return func() {
		var err error
		if buf, err = mails[i%len(mails)].Append(buf[:0], readers[i%len(mails)], stamp()); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// round returns the CPU time of some mails, as many in each of all languages: so few that hardly a round is interrupted.
func round(b *testing.B, mail func()) time.Duration {
	before := used(b)
	for range 10 * len(thirty) {
		mail()
	}
	return used(b) - before
}

// used returns the CPU time of this thread so far. That of the process has the collector's in it, which runs when it likes.
func used(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
