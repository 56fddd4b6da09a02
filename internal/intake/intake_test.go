package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// TestMain lets the test binary be a process that drains a Maildir, and can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TOCSIN_TEST_MAILDIR"); dir != "" {
		if err := drainForAnother(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// bundle is an Intake with a Taker that keeps mails. Their subjects script it: "later", "poison" and "denied" are not taken,
// "slow" is when it may.
type bundle struct {
	*Intake
	mu     sync.Mutex
	taken  []string       // in the order of their coming
	counts map[Result]int // of all sources
	away   bool           // nothing is taken
	came   chan struct{}  // holds one after each mail
	begun  chan struct{}  // holds one when a slow mail is there
	may    chan struct{}  // lets a slow mail be taken
	log    *bytes.Buffer
}

func newBundle(t *testing.T) *bundle {
	b := &bundle{counts: map[Result]int{}, came: make(chan struct{}, 10_000), begun: make(chan struct{}, 100), may: make(chan struct{}), log: &bytes.Buffer{}}
	b.Intake = New(Options{Take: b.take, Count: b.count, Logger: slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), b.log), nil))})
	return b
}

func (b *bundle) take(_ context.Context, raw []byte) error {
	mail := string(raw)
	if strings.Contains(mail, "Subject: slow") {
		b.begun <- struct{}{}
		<-b.may
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.away || strings.Contains(mail, "Subject: later"):
		return errors.New("the API is away")
	case strings.Contains(mail, "Subject: poison"):
		return &Failure{Refused, errors.New("no mail")}
	case strings.Contains(mail, "Subject: denied"):
		return &Failure{Denied, errors.New("no token")}
	}
	b.taken = append(b.taken, mail)
	return nil
}

func (b *bundle) count(_ string, r Result) {
	b.mu.Lock()
	b.counts[r]++
	b.mu.Unlock()
	b.came <- struct{}{}
}

func (b *bundle) setAway(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

// mails returns the mails that were taken, and the number of each result.
func (b *bundle) mails() ([]string, map[Result]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[Result]int{}
	for r, n := range b.counts {
		counts[r] = n
	}
	return slices.Clone(b.taken), counts
}

// await waits until n mails were handed over.
func (b *bundle) await(t *testing.T, n int) {
	t.Helper()
	handed := 0
	b.until(t, func([]string) bool { handed++; return handed > n })
}

// awaitTaken waits until a mail with that subject was taken.
func (b *bundle) awaitTaken(t *testing.T, subject string) {
	t.Helper()
	b.until(t, func(taken []string) bool { return slices.Contains(taken, letter(subject)) })
}

// awaitBegun waits until a slow mail is there.
func (b *bundle) awaitBegun(t *testing.T) {
	t.Helper()
	select {
	case <-b.begun:
	case <-time.After(time.Minute):
		t.Fatal("no slow mail came within a minute")
	}
}

// until waits until is holds, and asks it again after each mail.
func (b *bundle) until(t *testing.T, is func(taken []string) bool) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		if taken, _ := b.mails(); is(taken) {
			return
		}
		select {
		case <-b.came:
		case <-timeout:
			taken, counts := b.mails()
			t.Fatalf("after a minute %d were taken, %v", len(taken), counts)
		}
	}
}

// run runs a source until stop is called, which fails the test if it ended with an error.
func run(t *testing.T, s interface{ Run(context.Context) error }) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func TestALogLineHoldsNothingOfTheMail(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for _, subject := range []string{"ok", "later", "poison", "denied"} {
		b.hand(t.Context(), sourceSMTP, []byte("Delivered-To: bounces+secret@example.net\r\nSubject: "+subject+"\r\n\r\nprivate\r\n"))
	}
	log := b.log.String()
	for _, want := range []string{"result=taken", "level=WARN", "result=left", "level=ERROR", "result=refused", "result=denied"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if strings.Count(log, "\n") != 4 || strings.Contains(log, "secret") || strings.Contains(log, "private") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestNoMailHoldsUpOthers plays rounds over mails that the Taker stumbles over for ever, and others.
func TestNoMailHoldsUpOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bad := rapid.SliceOfN(rapid.Bool(), 0, 30).Draw(t, "bad")
		stays := map[int]bool{}
		for i := range bad {
			stays[i] = true
		}
		var r rounds[int]
		for range len(bad) + 1 {
			var names []int
			for i := range bad {
				if stays[i] {
					names = append(names, i)
				}
			}
			tally, err := r.run(context.Background(), names, func(i int) (Result, error) {
				if bad[i] {
					return Left, nil
				}
				delete(stays, i)
				return Taken, nil
			})
			if err != nil || tally.Taken+tally.Left != len(names) || tally.Left != len(stays) {
				t.Fatalf("%+v of %d, %d stay: %v", tally, len(names), len(stays), err)
			}
		}
		for i := range stays {
			if !bad[i] {
				t.Fatalf("mail %d was never reached", i)
			}
		}
	})
}

func TestARoundEndsEarlyWhileTheTakerIsAway(t *testing.T) {
	t.Parallel()
	var r rounds[int]
	calls := 0
	tally, err := r.run(t.Context(), make([]int, 1000), func(int) (Result, error) { calls++; return Left, nil })
	if err != nil || calls != mostLeft || tally.Left != 1000 {
		t.Errorf("%d calls, %+v, %v", calls, tally, err)
	}
}

func TestPausesGrow(t *testing.T) {
	t.Parallel()
	p := pauses{least: time.Second, most: time.Minute}
	last := time.Duration(0)
	for range 20 {
		d := p.take()
		if d < last/2 || d > 67*time.Second {
			t.Errorf("%s after %s", d, last)
		}
		last = d
	}
	if p.reset(); p.take() > 2*time.Second {
		t.Error("a reset pause is long")
	}
}

func letter(subject string) string {
	return fmt.Sprintf("From: mailer-daemon@mx.example.com\r\nSubject: %s\r\n\r\nIt did not arrive.\r\n", subject)
}
