package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func newMaildir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func put(t *testing.T, dir, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// deliver puts a mail there as maildir(5) has it.
func deliver(t *testing.T, dir, name, text string) {
	t.Helper()
	put(t, dir, "tmp/"+name, text)
	if err := os.Rename(filepath.Join(dir, "tmp", name), filepath.Join(dir, "new", name)); err != nil {
		t.Fatal(err)
	}
}

// content lists the files of a Maildir, sorted.
func content(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		paths[i], _ = filepath.Rel(dir, paths[i])
	}
	slices.Sort(paths)
	return paths
}

func TestAMaildirIsDrained(t *testing.T) {
	t.Parallel()
	b, dir := newBundle(t), newMaildir(t)
	deliver(t, dir, "1.a.host", letter("one"))
	deliver(t, dir, "2.a.host", letter("poison"))
	deliver(t, dir, "3.a.host", letter("later"))
	deliver(t, dir, "4.a.host", letter("four"))
	put(t, dir, "tmp/5.half.host", "From: half")
	put(t, dir, "cur/6.a.host:2,R", letter("a reader moved it"))
	put(t, dir, "cur/7.a.host:2,S", letter("seen"))
	put(t, dir, "cur/8.a.host:2,F", letter("flagged"))
	put(t, dir, "new/.hidden", letter("hidden"))
	m, err := b.NewMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	tally, err := m.Drain(t.Context())
	if err != nil || tally != (Tally{Taken: 3, Refused: 1, Left: 1}) {
		t.Errorf("%+v, %v", tally, err)
	}
	want := []string{"cur/1.a.host:2,S", "cur/2.a.host:2,F", "cur/4.a.host:2,S", "cur/6.a.host:2,RS", "cur/7.a.host:2,S", "cur/8.a.host:2,F", "new/.hidden", "new/3.a.host", "tmp/5.half.host"}
	if got := content(t, dir); !slices.Equal(got, want) {
		t.Errorf("it holds %q, want %q", got, want)
	}
	if taken, _ := b.mails(); len(taken) != 3 || taken[0] != letter("one") {
		t.Errorf("taken are %q", taken)
	}
}

func TestAMaildirIsFollowed(t *testing.T) {
	t.Parallel()
	b, dir := newBundle(t), newMaildir(t)
	m, err := b.NewMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m.every = 10 * time.Millisecond
	b.setAway(true)
	stop := run(t, m)
	deliver(t, dir, "1.a", letter("one"))
	b.await(t, 2)
	if got := content(t, dir); !slices.Equal(got, []string{"new/1.a"}) {
		t.Errorf("while the API is away it holds %q", got)
	}
	b.setAway(false)
	b.awaitTaken(t, "one")
	// One that is in hand when the end is asked for is finished.
	deliver(t, dir, "2.a", letter("slow"))
	b.awaitBegun(t)
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	b.may <- struct{}{}
	<-ended
	if got := content(t, dir); !slices.Equal(got, []string{"cur/1.a:2,S", "cur/2.a:2,S"}) {
		t.Errorf("it holds %q", got)
	}
}

func TestWhatIsNoMailIsPassedOver(t *testing.T) {
	t.Parallel()
	b, dir := newBundle(t), newMaildir(t)
	put(t, dir, "secret", "Subject: not of this Maildir\r\n\r\n")
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "new/1.directory"), 0o700),
		syscall.Mkfifo(filepath.Join(dir, "new/2.pipe"), 0o600),
		os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "new/3.link")),
		os.Symlink("gone", filepath.Join(dir, "new/4.dangling")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	deliver(t, dir, "5.empty", "")
	deliver(t, dir, "6.large", letter("large")+strings.Repeat("x", 3<<20))
	put(t, dir, "cur/7.again:2,S", letter("an older one of that name"))
	deliver(t, dir, "7.again", letter("again"))
	m, err := b.NewMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := m.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	}
	taken, counts := b.mails()
	if len(taken) != 3 || counts[Taken] != 3 || len(taken[1]) != MaxMail {
		t.Errorf("%d taken, %v", len(taken), counts)
	}
	if n := strings.Count(b.log.String(), "passed over"); n != 4 {
		t.Errorf("%d lines say what is no mail", n)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "cur/7.again:2,S")); err != nil || string(text) != letter("an older one of that name") {
		t.Errorf("an older mail was replaced: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "new/[567]*")); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func TestNoMaildir(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	if _, err := b.NewMaildir(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not a Maildir") {
		t.Error(err)
	}
	dir := newMaildir(t)
	m, err := b.NewMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(dir)
	if _, err := m.Drain(t.Context()); err == nil {
		t.Error("a Maildir that is gone is no error")
	}
}

// drainForAnother drains a Maildir as the process that TestSeveralProcessesShareAMaildir starts.
func drainForAnother(dir string) error {
	mails := 0
	in := New(Options{Take: func(_ context.Context, raw []byte) error {
		fmt.Printf("took %q\n", raw)
		if mails++; mails == 3 && os.Getenv("TOCSIN_TEST_DIES") != "" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}})
	m, err := in.NewMaildir(dir)
	if err != nil {
		return err
	}
	for left := []string{""}; len(left) > 0; left, _ = filepath.Glob(filepath.Join(dir, "new", "*")) {
		if _, err := m.Drain(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// firstWrite closes a channel at the first write.
type firstWrite struct {
	at   chan struct{}
	once sync.Once
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.at) })
	return len(p), nil
}

// TestSeveralProcessesShareAMaildir has five processes take each mail once, but for the one at which one of them is killed:
// that is taken by another too.
func TestSeveralProcessesShareAMaildir(t *testing.T) {
	t.Parallel()
	dir := newMaildir(t)
	const mails = 400
	for i := range mails {
		deliver(t, dir, fmt.Sprintf("%d.a", i), letter(fmt.Sprintf("mail %d.", i)))
	}
	outs, began := make(chan string, 5), &firstWrite{at: make(chan struct{})}
	for i := range cap(outs) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TOCSIN_TEST_MAILDIR="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if i == 0 {
			cmd.Env = append(cmd.Env, "TOCSIN_TEST_DIES=1")
			cmd.Stdout = io.MultiWriter(&out, began)
			cmd.Stderr = nil
		}
		go func() {
			if err := cmd.Run(); err != nil {
				out.WriteString(err.Error())
			}
			outs <- out.String()
		}()
		<-began.at // the one that is killed has mails before the others
	}
	all := ""
	for range cap(outs) {
		all += <-outs
	}
	if !strings.Contains(all, "signal: killed") {
		t.Error("nobody was killed")
	}
	twice := 0
	for i := range mails {
		switch n := strings.Count(all, fmt.Sprintf(`Subject: mail %d.\r`, i)); n {
		case 1:
		case 2:
			twice++
		default:
			t.Errorf("mail %d was taken %d times", i, n)
		}
	}
	if twice != 1 {
		t.Errorf("%d mails were taken twice, want that of the killed process", twice)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "cur", "*:2,S")); len(left) != mails {
		t.Errorf("%d are in cur", len(left))
	}
}
