package maillog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const wanted = "<a1.7@example.net>"

var readAt = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// read reads lines of a log; each is put behind a time and the host's name.
func read(t *testing.T, lines ...string) *Log {
	t.Helper()
	l := New(Options{Wanted: []string{wanted}, Zone: time.UTC, Now: readAt})
	var b strings.Builder
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for _, s := range lines {
		if !strings.HasPrefix(s, "{") {
			s = at.Format(time.Stamp) + " mx1 postfix/" + s
		}
		b.WriteString(s + "\n")
		at = at.Add(time.Second)
	}
	if err := l.Read("mail.log", strings.NewReader(b.String())); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWhatProvesThatARelayTookAMail(t *testing.T) {
	t.Parallel()
	const (
		client = "smtpd[10]: 3576B98B427: client=app[192.0.2.7]"
		named  = "cleanup[11]: 3576B98B427: message-id=" + wanted
		active = "qmgr[12]: 3576B98B427: from=<status@example.net>, size=9123, nrcpt=1 (queue active)"
		sent   = "smtp[13]: 3576B98B427: to=<c7@example.com>, relay=mx.example.com[192.0.2.9]:25, delay=0.1, delays=0.1/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
		gone   = "qmgr[12]: 3576B98B427: removed"
		other  = "cleanup[11]: 3576B98B427: message-id=<other@example.org>"
	)
	tests := []struct {
		name  string
		lines []string
		want  Verdict
	}{
		{"nothing at all", []string{"qmgr[12]: 99999999: removed"}, Absent},
		{"the Message-ID alone", []string{client, named}, Begun},
		{"the Message-ID, then the connection lost in the body", []string{client, named, "smtpd[10]: lost connection after DATA (512 bytes) from app[192.0.2.7]"}, Begun},
		{"refused at the dot", []string{client, named, "cleanup[11]: 3576B98B427: milter-reject: END-OF-MESSAGE from app[192.0.2.7]: 5.7.1 spam; from=<s@example.net> to=<c@example.com>"}, Begun},
		{"the queue manager had it", []string{client, named, active}, Taken},
		{"an agent tried it, the queue manager's line is cut off", []string{named, sent}, Taken},
		{"returned later: taken all the same", []string{client, named, active, strings.Replace(sent, "status=sent", "status=bounced", 1), gone}, Taken},
		{"the log begins behind the connection", []string{named, active, sent, gone}, Taken},
		{"a queue id of another Message-ID", []string{client, other, active}, Absent},
		{"the queue id is given again after a mail that was cut off", []string{client, named, client, other, active, sent, gone}, Begun},
		{"the queue id is given again, and nobody says who brought it", []string{client, named, other, active, sent, gone}, Begun},
		{"the queue id had been another mail's", []string{client, other, active, sent, gone, client, named}, Begun},
		{"the queue id had been another mail's, which stayed in the queue", []string{other, active, client, named, active}, Taken},
		{"cut off once, taken the second time", []string{client, named, client, named, active}, Taken},
		{"taken, and its queue id given again since", []string{client, named, active, sent, gone, client, other}, Taken},
		{"another queue id was active", []string{client, named, strings.Replace(active, "3576B98B427", "3576B98B428", 1)}, Begun},
		{"active, but only in a text that the sender chose", []string{client, named, "cleanup[11]: 3576B98B427: warning: header Subject: (queue active)", "smtpd[10]: 3576B98B427: reject: RCPT from app[192.0.2.7]: 450 <x@example.com>: to=<x>, status=sent (queue active)"}, Begun},
		{"held", []string{client, named, "cleanup[11]: 3576B98B427: hold: header Subject: x from app[192.0.2.7]; from=<s@example.net> to=<c@example.com>"}, Unclear},
		{"held by a milter", []string{client, named, "cleanup[11]: 3576B98B427: milter-hold: END-OF-MESSAGE from app[192.0.2.7]: milter triggers HOLD action"}, Unclear},
		{"held before it had a queue id", []string{"smtpd[10]: NOQUEUE: hold: RCPT from app[192.0.2.7]: <c@example.com>: HOLD action", client, named}, Unclear},
		{"held, and released", []string{client, named, "cleanup[11]: 3576B98B427: hold: header Subject: x", active}, Taken},
		{"discarded", []string{client, named, "cleanup[11]: 3576B98B427: discard: header Subject: x"}, Unclear},
		{"the connection before was held, not this one", []string{"smtpd[10]: NOQUEUE: hold: RCPT from app[192.0.2.8]: HOLD action", "smtpd[10]: disconnect from app[192.0.2.8]", client, named}, Begun},
		{"the newest line first", []string{sent, active, named, client}, Unclear},
		{"lines of others in between", []string{client, named, "anvil[1]: statistics: max connection rate", active}, Taken},
		{"kept by the sink", []string{`{"at":"2026-11-20T10:00:01Z","message_id":"` + wanted + `","raw":"x"}`}, Taken},
		{"another mail kept by the sink", []string{`{"at":"2026-11-20T10:00:01Z","message_id":"<b@example.org>","raw":"Message-ID: ` + wanted + `"}`}, Absent},
		{"a line of the sink that breaks off", []string{`{"at":"2026-11-20T10:00:01Z","message_id":"` + wanted + `","raw":"x`}, Absent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := read(t, tt.lines...).Find(wanted); got.Verdict != tt.want {
				t.Errorf("got %+v, want verdict %d", got, tt.want)
			}
		})
	}
}

func TestOneHostsQueueIDIsNotAnothers(t *testing.T) {
	t.Parallel()
	l := New(Options{Wanted: []string{wanted}, Zone: time.UTC, Now: readAt})
	text := "Nov 20 10:00:00 mx1 postfix/cleanup[1]: ABCDEF01: message-id=" + wanted + "\n" +
		"Nov 20 10:00:00 mx2 postfix/qmgr[1]: ABCDEF01: from=<s@example.net>, size=1, nrcpt=1 (queue active)\n"
	if err := l.Read("log", strings.NewReader(text)); err != nil || l.Find(wanted).Verdict != Begun {
		t.Errorf("%v, %+v", err, l.Find(wanted))
	}
	text = "Nov 20 10:00:01 mx1 postfix-in/qmgr[1]: ABCDEF01: from=<s@example.net>, size=1, nrcpt=1 (queue active)\n"
	if err := l.Read("log", strings.NewReader(text)); err != nil || l.Find(wanted).Verdict != Unclear {
		t.Errorf("two instances: %v, %+v", err, l.Find(wanted))
	}
}

func TestAFindingSaysWhereAndWhen(t *testing.T) {
	t.Parallel()
	got := read(t,
		"smtpd[10]: 4Zx9Qv2bNnz1cT: client=app[192.0.2.7]",
		"cleanup[11]: 4Zx9Qv2bNnz1cT: message-id="+wanted,
		"qmgr[12]: 4Zx9Qv2bNnz1cT: from=<s@example.net>, size=1, nrcpt=1 (queue active)",
		"smtp[13]: 4Zx9Qv2bNnz1cT: to=<c@example.com>, relay=none, delay=1, status=deferred (mailbox \x1b[2Jfull)",
	).Find(wanted)
	want := Finding{Verdict: Taken, QueueID: "4Zx9Qv2bNnz1cT", Text: "status=deferred (mailbox  [2Jfull)", At: time.Date(2026, 11, 20, 10, 0, 2, 0, time.UTC)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTimesOfALog(t *testing.T) {
	t.Parallel()
	amsterdam, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, stamp string
		now         string
		early, late string // "" is no time
	}{
		{"without year and zone", "Nov 20 10:00:00", "2026-11-20T12:00:00Z", "2026-11-20T09:00:00Z", ""},
		{"a day of one digit", "Nov  2 10:00:00", "2026-11-20T12:00:00Z", "2026-11-02T09:00:00Z", ""},
		{"with a fraction", "Nov 20 10:00:00.25", "2026-11-20T12:00:00Z", "2026-11-20T09:00:00.25Z", ""},
		{"December, read in January", "Dec 31 23:59:59", "2027-01-02T08:00:00Z", "2026-12-31T22:59:59Z", ""},
		{"January, read on the last day of December, by a clock that is behind", "Jan  1 00:10:00", "2026-12-31T23:05:00Z", "2026-12-31T23:10:00Z", ""},
		{"a leap day, read a year later", "Feb 29 10:00:00", "2029-01-10T00:00:00Z", "2028-02-29T09:00:00Z", ""},
		{"the hour that is had twice", "Oct 25 02:30:00", "2026-11-20T12:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"ISO 8601", "2026-11-20T10:00:00.123456+02:00", "2026-11-20T12:00:00Z", "2026-11-20T08:00:00.123456Z", ""},
		{"ISO 8601 as journalctl writes it", "2026-11-20T10:00:00+0200", "2026-11-20T12:00:00Z", "2026-11-20T08:00:00Z", ""},
		{"ISO 8601 in UTC", "2026-11-20T10:00:00Z", "2026-11-20T12:00:00Z", "2026-11-20T10:00:00Z", ""},
		{"ISO 8601 without a zone", "2026-11-20T10:00:00", "2026-11-20T12:00:00Z", "2026-11-20T09:00:00Z", ""},
		{"no such day", "Feb 30 10:00:00", "2026-11-20T12:00:00Z", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now, err := time.Parse(time.RFC3339, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			l, ok := clock{zone: amsterdam, now: now}.parse(tt.stamp + " mx1 postfix/qmgr[1]: AAAAAA: removed")
			if tt.early == "" {
				if ok {
					t.Errorf("read as %v", l.early)
				}
				return
			}
			if tt.late == "" {
				tt.late = tt.early
			}
			got := [2]string{l.early.UTC().Format(time.RFC3339Nano), l.late.UTC().Format(time.RFC3339Nano)}
			if !ok || got != [2]string{tt.early, tt.late} {
				t.Errorf("%v, %v; want %s and %s", ok, got, tt.early, tt.late)
			}
		})
	}
}

func TestWhatALogCovers(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		when, err := time.Parse(time.DateTime, "2026-11-20 "+s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	const (
		eleven = "Nov 20 11:00:00 mx1 postfix/anvil[1]: statistics: x\n"
	)
	tests := []struct {
		name  string
		files []string
		want  bool // of 10:00 to 11:00
		flaw  string
	}{
		{"all of it", []string{"Nov 20 10:00:00 mx1 postfix/anvil[1]: statistics: x\n" + eleven}, true, ""},
		{"nothing", []string{""}, false, ""},
		{"not the end", []string{"Nov 20 10:00:00 mx1 postfix/anvil[1]: statistics: x\nNov 20 10:59:59 mx1 postfix/anvil[1]: statistics: x\n"}, false, ""},
		{"not the beginning", []string{"Nov 20 10:00:01 mx1 postfix/anvil[1]: statistics: x\n" + eleven}, false, ""},
		{"the beginning in another program's lines", []string{"Nov 20 09:00:00 mx1 cron[1]: x: y\n" + eleven}, false, ""},
		{"the end in another program's lines", []string{"Nov 20 09:00:00 mx1 postfix/anvil[1]: a: b\nNov 20 11:30:00 mx1 sshd[1]: x: y\n"}, false, ""},
		{"one of two relays not to the end", []string{"Nov 20 09:00:00 mx1 postfix/anvil[1]: a: b\nNov 20 09:00:00 mx2 postfix/anvil[1]: a: b\n" + eleven}, false, ""},
		{"two files, oldest first", []string{"Nov 20 08:00:00 mx1 postfix/anvil[1]: a: b\n", eleven}, true, ""},
		{"two files, newest first", []string{eleven, "Nov 20 08:00:00 mx1 postfix/anvil[1]: a: b\n"}, false, "f:1 is older than the line before it: give the oldest file first"},
		{"in another zone", []string{"Nov 20 08:00:00 mx1 postfix/anvil[1]: a: b\nNov 20 14:00:00 mx1 postfix/anvil[1]: a: b\n"}, false, "f:2 is in the future: is it in the zone that it was read in?"},
		{"a line of the sink that breaks off", []string{`{"at":"2026-11-20T08:00:00Z"}` + "\n" + `{"at":"2026-11-20T11:30:00Z"}` + "\n" + `{"at":"2026`}, false, "f:3 is no whole line of a sink's store"},
		{"the store of a sink", []string{`{"at":"2026-11-20T08:00:00Z"}` + "\n" + `{"at":"2026-11-20T11:30:00Z"}` + "\n"}, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := New(Options{Zone: time.UTC, Now: readAt})
			for _, f := range tt.files {
				if err := l.Read("f", strings.NewReader(f)); err != nil {
					t.Fatal(err)
				}
			}
			s := l.Span()
			if got := s.Covers(at("10:00:00"), at("11:00:00")); got != tt.want || s.Flaw != tt.flaw {
				t.Errorf("covers: %v, want %v; span %+v, want flaw %q", got, tt.want, s, tt.flaw)
			}
		})
	}
}

// People who send mail also write in a log. Whatever stands in it, reading ends, and findings are fit to be stored. A
// mail is only taken where a queue manager, an agent or the sink said so.
func FuzzRead(f *testing.F) {
	f.Add("Nov 20 10:00:00 mx1 postfix/cleanup[1]: ABCDEF01: message-id=" + wanted + "\nNov 20 10:00:00 mx1 postfix/qmgr[1]: ABCDEF01: from=<s@example.net>, size=1, nrcpt=1 (queue active)\n")
	f.Add("2026-11-20T10:00:00.123456+02:00 mx1 postfix/smtp[1]: ABCDEF01: to=<a@b>, status=sent (250 \xff\x00)")
	f.Add(`{"at":"2026-11-20T10:00:00Z","message_id":"` + wanted + `"}`)
	f.Add("Nov 20 10:00:00.\nNov 20 10:00:00 \n{\n: : :\nFeb 29 00:00:00 h postfix/smtpd[: NOQUEUE: hold: \n")
	f.Fuzz(func(t *testing.T, text string) {
		l := New(Options{Wanted: []string{wanted}, Zone: time.UTC, Now: readAt})
		if err := l.Read("f", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		got := l.Find(wanted)
		if got.Text != printable(got.Text) || len(got.Text) > 300 {
			t.Errorf("text %q", got.Text)
		}
		if got.Verdict == Taken && !strings.Contains(text, "(queue active)") && !strings.Contains(text, ", status=") && !strings.Contains(text, "{") {
			t.Errorf("taken, says %q", text)
		}
		if s := l.Span(); (s.Lines == 0) != (len(s.Sources) == 0) {
			t.Errorf("%d lines of %v", s.Lines, s.Sources)
		}
	})
}
