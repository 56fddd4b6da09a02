package maillog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// errEnough ends a Follower that a test has seen enough of.
var errEnough = errors.New("enough")

// followed is a log that is followed.
type followed struct {
	t      *testing.T
	path   string
	events chan Event
	idle   chan struct{} // gets one whenever nothing is new
}

func follow(t *testing.T) *followed {
	t.Helper()
	f := &followed{t: t, path: filepath.Join(t.TempDir(), "mail.log"), events: make(chan Event, 100), idle: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Follower{Path: f.path, Zone: time.UTC, Poll: time.Millisecond}.Run(ctx, func(_ context.Context, events []Event) error {
			for _, e := range events {
				f.events <- e
			}
			if len(events) == 0 {
				select {
				case f.idle <- struct{}{}:
				default: // nobody waits for it
				}
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f
}

// rest waits until all that was written has been read.
func (f *followed) rest() {
	<-f.idle
	<-f.idle
}

func (f *followed) write(text string) {
	f.t.Helper()
	out, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = out.WriteString(text)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// mail returns the lines of one mail.
func (f *followed) mail(n int) string {
	id := fmt.Sprintf("Nov 20 10:00:0%d mx1 postfix", n)
	queue := fmt.Sprintf("3576B98B42%d", n)
	return id + "/smtpd[10]: " + queue + ": client=app[192.0.2.7]\n" +
		id + "/cleanup[11]: " + queue + fmt.Sprintf(": message-id=<a1.%d@example.net>\n", n) +
		id + "/qmgr[12]: " + queue + ": from=<s@example.net>, size=1, nrcpt=1 (queue active)\n" +
		id + "/smtp[13]: " + queue + ": to=<c@example.com>, relay=mx.example.com[192.0.2.9]:25, delay=0.1, dsn=2.0.0, status=sent (250 Ok)\n" +
		id + "/qmgr[12]: " + queue + ": removed\n"
}

// want waits for the events of one mail.
func (f *followed) want(n int) {
	f.t.Helper()
	id, queue := fmt.Sprintf("<a1.%d@example.net>", n), fmt.Sprintf("3576B98B42%d", n)
	for _, want := range []Event{{MessageID: id, QueueID: queue, Text: "queue active"},
		{MessageID: id, QueueID: queue, Text: "status=sent (250 Ok)", Server: "mx.example.com[192.0.2.9]:25"}} {
		select {
		case got := <-f.events:
			got.At = time.Time{}
			if diff := cmp.Diff(want, got); diff != "" {
				f.t.Errorf("(-want +got):\n%s", diff)
			}
		case <-time.After(20 * time.Second):
			f.t.Fatalf("mail %d was not seen", n)
		}
	}
}

func TestALogIsFollowedOverItsRotations(t *testing.T) {
	t.Parallel()
	f := follow(t)
	f.rest() // there is no file yet
	f.write(f.mail(1))
	f.want(1)

	half := f.mail(2)
	f.write(half[:len(half)/2])
	f.rest()
	f.write(half[len(half)/2:])
	f.want(2)

	// logrotate renames it, and Postfix writes the old file for a while.
	f.rest()
	moved := f.path + ".1"
	if err := os.Rename(f.path, moved); err != nil {
		t.Fatal(err)
	}
	path := f.path
	f.path = moved
	f.write(f.mail(3))
	f.want(3)
	f.path = path
	f.write(f.mail(4))
	f.want(4)

	f.rest() // copytruncate
	if err := os.Truncate(f.path, 0); err != nil {
		t.Fatal(err)
	}
	f.rest()
	f.write(f.mail(5))
	f.want(5)
}

func TestAFollowerEndsWithTheErrorOfItsTaker(t *testing.T) {
	t.Parallel()
	err := Follower{Path: filepath.Join(t.TempDir(), "none")}.Run(t.Context(), func(context.Context, []Event) error { return errEnough })
	if !errors.Is(err, errEnough) {
		t.Error(err)
	}
}

func TestWhichServerTookAMail(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"smtp[1]: AAAAAA: to=<c@example.com>, relay=mx.example.com[192.0.2.9]:25, delay=1, dsn=2.0.0, status=sent (250 Ok)":         "mx.example.com[192.0.2.9]:25",
		"lmtp[1]: AAAAAA: to=<c@example.com>, relay=mx.example.com[private/dovecot], delay=1, dsn=2.0.0, status=sent (250 Ok)":      "mx.example.com[private/dovecot]",
		"local[1]: AAAAAA: to=<c@example.com>, relay=local, delay=1, dsn=2.0.0, status=sent (delivered to mailbox)":                 "",
		"smtp[1]: AAAAAA: to=<c@example.com>, relay=none, delay=1, dsn=4.4.1, status=deferred (connect to mx: Connection refused)":  "",
		"smtp[1]: AAAAAA: to=<c@example.com>, relay=mx.example.com[192.0.2.9]:25, delay=1, dsn=5.1.1, status=bounced (550 unknown)": "",
	} {
		r := reader{clock: clock{zone: time.UTC, now: readAt}, mails: map[string]string{}}
		r.read("Nov 20 10:00:00 mx1 postfix/cleanup[2]: AAAAAA: message-id=" + wanted)
		e, ok := r.read("Nov 20 10:00:01 mx1 postfix/" + line)
		if !ok || e.Server != want || e.MessageID != wanted {
			t.Errorf("%s: %+v, %v", line, e, ok)
		}
	}
}
