package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

var update = flag.Bool("update", false, "write the goldens in testdata anew")

func TestSendOffATerminalWantsYes(t *testing.T) {
	t.Parallel()
	c := setup(t)
	code, stdout, stderr := c.run(t, "notice", "send", "DIR", "--json")
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "--yes") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if c.releases != 0 {
		t.Error("it was released all the same")
	}
}

func TestSendTwice(t *testing.T) {
	t.Parallel()
	c := setup(t)
	code, stdout, stderr := c.run(t, "notice", "send", "DIR", "--yes", "--json")
	want := map[string]any{
		"number": 7.0, "key": "feeds.1", "state": "sent", "created": true, "customers": 1205.0, "recipients": 1180.0,
		"by_language": map[string]any{"en": 800.0, "nl": 370.0}, "suppressed": map[string]any{"no_address": 8.0, "unreachable": 2.0},
	}
	if diff := cmp.Diff(want, theDocument(t, stdout)); code != exitDone || diff != "" {
		t.Errorf("exit code %d (-want +got):\n%s%s", code, diff, stderr)
	}
	// Nobody is asked before nothing happens.
	code, stdout, stderr = c.run(t, "notice", "send", "DIR", "--json")
	want["created"] = false
	if diff := cmp.Diff(want, theDocument(t, stdout)); code != exitDone || diff != "" {
		t.Errorf("again: exit code %d (-want +got):\n%s%s", code, diff, stderr)
	}
	if c.releases != 1 {
		t.Errorf("released %d times", c.releases)
	}
}

// TestSendAndWaitTellsWhatBecameOfIt with three uncertain mails, about which a person has to decide.
func TestSendAndWaitTellsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		state notice.State
		want  int
	}{{notice.Sent, exitFailed}, {notice.Cancelled, exitFailed}, {notice.Held, exitFailed}}
	for _, tt := range tests {
		t.Run(string(tt.state), func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			c.atRelease = tt.state
			code, stdout, stderr := c.run(t, "notice", "send", "DIR", "--yes", "--wait", "--json")
			doc := theDocument(t, stdout)
			if code != tt.want || doc["state"] != string(tt.state) || doc["created"] != true || doc["counts"] == nil {
				t.Errorf("exit code %d, document %v, stderr %s", code, doc, stderr)
			}
		})
	}
}

func TestInterruptedWaitingSaysThatTheNoticeGoesOn(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.atRelease = notice.Sending
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-c.asked
		interrupt()
	}()
	var out, errs bytes.Buffer
	code := Run(ctx, []string{"notice", "send", c.dir, "--yes", "--wait"}, strings.NewReader(""), &out, &errs, []string{c.env})
	if code != exitFailed || !strings.Contains(errs.String(), "goes on") || !strings.Contains(errs.String(), "tocsin notice status feeds.1") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}

func TestWhatCannotBeSentIsNotReleased(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*notice.Plan)
		says  string
	}{
		{"nobody on the audience", func(p *notice.Plan) { *p = notice.Plan{} }, "nobody is on the audience"},
		{"a hole", func(p *notice.Plan) {
			p.HoleCount, p.Holes = 1, []notice.Hole{{Customer: "c-9", Language: "nl", Reason: "no city"}}
		}, "1 recipient would get a mail with an empty field"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			tt.spoil(&c.plan)
			for _, args := range [][]string{{"notice", "preview", "DIR"}, {"notice", "send", "DIR", "--yes"}} {
				code, _, stderr := c.run(t, args...)
				if code != exitFailed || !strings.Contains(stderr, tt.says) {
					t.Errorf("%v: exit code %d: %s", args, code, stderr)
				}
			}
			if c.releases != 0 {
				t.Error("it was released all the same")
			}
		})
	}
}

func TestConfirmationOnATerminal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		typed    string
		want     int
		releases int
		audience string
		asks     string
	}{
		{"yes", exitDone, 1, `'server = "s1"'`, "Type yes or feeds.1"}, {"feeds.1", exitDone, 1, `'server = "s1"'`, "Type yes or feeds.1"},
		{"y", exitFailed, 0, `'server = "s1"'`, "Type yes or feeds.1"}, {"", exitFailed, 0, `'server = "s1"'`, "Type yes or feeds.1"},
		{"1170", exitDone, 1, "all", "Type the number of recipients"}, {"1,170", exitDone, 1, "all", "Type the number of recipients"},
		{"yes ", exitFailed, 0, "all", "Type the number of recipients"}, {"1180", exitFailed, 0, "all", "Type the number of recipients"},
	}
	for _, tt := range tests {
		t.Run("typed "+tt.typed, func(t *testing.T) {
			t.Parallel()
			c := setup(t)
			write(t, filepath.Join(c.dir, "notice.yaml"), "key: feeds.1\nkind: maintenance\nphase: scheduled\naudience: "+tt.audience+"\n")
			if tt.audience == "all" {
				c.plan.Filter = ""
			}
			code, shown := c.typing(t, tt.asks, tt.typed, "notice", "send", c.dir)
			if code != tt.want || c.releases != tt.releases || !strings.Contains(shown, "1,170 recipients?") {
				t.Errorf("exit code %d, %d releases; the terminal showed:\n%s", code, c.releases, shown)
			}
		})
	}
}

// typing runs a command at a terminal, types a line when it asks that, and returns the text on the terminal too.
func (c terminal) typing(t *testing.T, asks, typed string, args ...string) (code int, shown string) {
	t.Helper()
	screen, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	read := make(chan string, 1)
	go func() {
		var seen bytes.Buffer
		answered := false
		b := make([]byte, 4096)
		for {
			n, err := screen.Read(b)
			seen.Write(b[:n])
			if !answered && strings.Contains(seen.String(), asks) {
				answered = true
				fmt.Fprintln(screen, typed)
			}
			if err != nil {
				read <- seen.String()
				return
			}
		}
	}()
	var out bytes.Buffer
	code = Run(t.Context(), args, terminal, &out, terminal, []string{c.env})
	terminal.Close()
	return code, <-read
}

func TestPrintedForPeople(t *testing.T) {
	t.Parallel()
	tests := []struct{ golden, args string }{
		{"preview", "notice preview DIR"},
		{"send", "notice send DIR --yes"},
	}
	for _, tt := range tests {
		t.Run(tt.golden, func(t *testing.T) {
			t.Parallel()
			_, stdout, stderr := setup(t).run(t, strings.Fields(tt.args)...)
			got := "stdout:\n" + stdout + "stderr:\n" + stderr
			path := filepath.Join("testdata", tt.golden+".golden")
			if *update {
				write(t, path, got)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusBeginsWithWhatMustBeDecided(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.run(t, "notice", "send", "DIR", "--yes")
	code, stdout, _ := c.run(t, "notice", "status", "7")
	if code != exitDone || !strings.HasPrefix(stdout, "3 mails may have arrived or not") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
}

func TestAStatusSaysWhatHoldsMailsUp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := printStatus(&out, notice.Status{Number: 1, Key: "a.1", State: notice.Sending, Pace: &notice.Pace{
		Relays: []notice.RelayHealth{{Worker: "w1", Relay: "main", State: "up"}, {Worker: "w1", Relay: "next", State: "up"},
			{Worker: "w2", Relay: "main", State: "resting", Error: "connection refused"}, {Worker: "w2", Relay: "next", State: "up"}},
		Throttled: []notice.Throttled{{Relay: "main", Domain: "gmail.com", RatePerS: 4.25, UpTo: 20}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Relay main resting in 1 of 2 workers: connection refused", "Relay next up",
		"gmail.com through main throttled: 4.2 mails/s now, growing to 20"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestAnotherNumberThanExpectedIsNotSent(t *testing.T) {
	t.Parallel()
	c := setup(t)
	code, _, stderr := c.run(t, "notice", "send", "DIR", "--yes", "--expect", "1180")
	if code != exitFailed || !strings.Contains(stderr, "1,170 recipients would get it, and not 1,180") || c.releases != 0 {
		t.Errorf("exit code %d, %d releases: %s", code, c.releases, stderr)
	}
	if code, _, stderr := c.run(t, "notice", "send", "DIR", "--yes", "--expect", "1170"); code != exitDone || c.releases != 1 {
		t.Errorf("exit code %d, %d releases: %s", code, c.releases, stderr)
	}
	// It was released before: nothing is asked, whatever is expected.
	if code, _, stderr := c.run(t, "notice", "send", "DIR", "--expect", "3"); code != exitDone || c.releases != 1 {
		t.Errorf("again: exit code %d, %d releases: %s", code, c.releases, stderr)
	}
}

func TestARefusalIsOverruledByItsName(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.plan.Refusals = []notice.Refusal{{Check: "past", Field: "windows", Reason: "are over"}}
	for _, args := range [][]string{{"notice", "preview", "DIR"}, {"notice", "send", "DIR", "--yes"}} {
		code, _, stderr := c.run(t, args...)
		if code != exitFailed || !strings.Contains(stderr, "windows are over") || !strings.Contains(stderr, "--allow-past") || c.releases != 0 {
			t.Errorf("%v: exit code %d, %d releases: %s", args, code, c.releases, stderr)
		}
	}
	code, _, stderr := c.run(t, "notice", "send", "DIR", "--yes", "--allow-past")
	if code != exitDone || c.releases != 1 || len(c.how[0].Allow) != 1 || c.how[0].Allow[0] != "past" {
		t.Errorf("exit code %d, %+v: %s", code, c.how, stderr)
	}
}

func TestAPlanThatDoesNotStandAnyMoreIsNotSent(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.drift = &notice.Drift{Added: 2, Lost: 1, Examples: map[string][]string{"added": {"c-8", "c-9"}}}
	code, _, stderr := c.run(t, "notice", "send", "DIR", "--yes", "--expect", "1170")
	if code != exitFailed || c.releases != 0 || !strings.Contains(stderr, "2 customers, such as c-8, c-9") {
		t.Errorf("exit code %d, %d releases: %s", code, c.releases, stderr)
	}
	// Nobody looked at it with --yes alone: it goes to who is on it now.
	if code, _, stderr := c.run(t, "notice", "send", "DIR", "--yes"); code != exitDone || c.releases != 1 || c.how[0].Plan != "" {
		t.Errorf("exit code %d, %+v: %s", code, c.how, stderr)
	}
}
