package main

import (
	"bytes"
	"fmt"
	"mime"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/config"
	"tocsin/internal/directory"
	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// earlierNotice is an item of the list of earlier notices, which goes on in indented lines at most: when, and the state
// then.
var earlierNotice = regexp.MustCompile(`(?m)^- (?:[^·\n]|\n  )*·(?:[^\n]|\n  )*`)

// untimed is a mail without the times at which its earlier notices were sent, which is now. Their lines end elsewhere
// for other times.
func untimed(text string) string {
	return earlierNotice.ReplaceAllStringFunc(text, func(item string) string {
		_, state, _ := strings.Cut(item, "·")
		return "- … · " + strings.Join(strings.Fields(state), " ")
	})
}

// reader is a customer with a mail that is held against a golden: the first one of the file that is like this and
// shares the mailbox with nobody.
type reader struct {
	golden string
	like   func(notice.CustomerRow) bool
}

func speaks(language string) func(notice.CustomerRow) bool {
	return func(r notice.CustomerRow) bool { return r.Customer.Language == language }
}

// on is a customer of a server with these attributes, "" for none.
func on(server, language string, attributes map[string]string) func(notice.CustomerRow) bool {
	return func(r notice.CustomerRow) bool {
		for name, want := range attributes {
			if r.Customer.Attributes[name] != want {
				return false
			}
		}
		return r.Customer.Attributes["server"] == server && r.Customer.Language == language
	}
}

// examplesSent are the directories of examples/ in the order in which they are sent.
var examplesSent = []struct {
	dir     string
	readers []reader
}{
	{"performance-update/first", []reader{{"sv", speaks("sv")}}},
	{"performance-update", []reader{{"en", speaks("en-US")}, {"nl", speaks("nl")}}},
	{"power-maintenance", []reader{{"en", speaks("en-GB")}, {"nl", speaks("nl")}}},
	{"power-maintenance/completed", []reader{{"en", speaks("en-GB")}, {"nl", speaks("nl")}}},
	{"network-maintenance", []reader{{"en", speaks("")}, {"ar", speaks("ar-EG")}}},
	{"network-maintenance/moved", []reader{{"en", speaks("")}, {"ar", speaks("ar-EG")}}},
	{"login-outage", []reader{{"en", speaks("en")}, {"nl", speaks("nl")}, {"ar", speaks("ar")}}},
	{"login-outage/amended", []reader{{"en", speaks("en")}, {"nl", speaks("nl")}, {"ar", speaks("ar")}}},
	{"mail-migration", []reader{{"sv", on("s639", "sv", nil)}, {"en", on("s639", "nl", nil)}}},
	{"mail-restored", []reader{
		{"rebate", on("s681", "es-MX", map[string]string{"mail_affected": "yes", "rebate": "12.5"})},
		{"affected", on("s681", "es-MX", map[string]string{"mail_affected": "yes", "rebate": ""})},
		{"spain", on("s681", "es-ES", map[string]string{"mail_affected": "", "rebate": ""})},
	}},
	{"server-outage", []reader{{"primary", func(r notice.CustomerRow) bool {
		return on("s671", "de-CH", nil)(r) && !onGipfelpost(r)
	}}, {"alternate", func(r notice.CustomerRow) bool {
		return on("s671", "de-CH", nil)(r) && onGipfelpost(r) && r.AlternateEmailKey != ""
	}}}},
}

func onGipfelpost(r notice.CustomerRow) bool {
	return strings.HasSuffix(r.EmailKey, "@gipfelpost.example")
}

func TestTheExamplesAreSentAsTheyAre(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(nil, "customers", "import", "../../examples/customers.csv")
	s.work()
	rows := exampleCustomers(t)
	first := map[string]sink.Mail{} // of an incident, by mailbox
	var read []goldenMail
	for _, example := range examplesSent {
		dir := filepath.Join("../../examples", example.dir)
		var st notice.Status
		out, errs, code := s.run("notice", "send", dir, "--yes", "--wait", "--json", "--allow-past")
		if out == "" {
			t.Fatalf("%s: exit code %d: %s", example.dir, code, errs)
		}
		s.decode(out, &st)
		exampleEnded(t, st, code)
		body, err := directory.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		mails := s.mailsOf(st.Key)
		if sent := st.Counts["sent"]; len(mails) != sent {
			t.Errorf("%s: %d mailboxes have it, %d are sent", example.dir, len(mails), sent)
		}
		for _, r := range example.readers {
			m := mailTo(t, rows, mails, body, r)
			text := untimed(asRead(t, m))
			name := strings.ReplaceAll(example.dir, "/", ".") + "." + r.golden
			goldenText(t, filepath.Join("testdata", "examples", name+".txt"), text)
			read = append(read, goldenMail{name, m.Raw})
		}
		for box, m := range mails {
			before, again := first[body.Incident+" "+box]
			if again && !strings.Contains(m.Raw, "In-Reply-To: "+before.MessageID) {
				t.Fatalf("%s: a mail does not refer to the first one of its incident", example.dir)
			}
			if !again {
				first[body.Incident+" "+box] = m
			}
		}
	}
	t.Run("strict parser", func(t *testing.T) { readStrictly(t, read) })
	t.Run("SpamAssassin", func(t *testing.T) { judge(t, read) })
}

// exampleEnded checks how a wait for an example ended. The sink hangs up on one of the customers just before the dot:
// on a busy machine that is seen only after the dot.
func exampleEnded(t *testing.T, st notice.Status, code int) {
	t.Helper()
	c, want := st.Counts, exitDone
	if c["uncertain"] == 1 {
		want = exitFailed
	}
	if code != want || st.State != notice.Sent || c["sent"] == 0 || c["failed"] > 3 || c["uncertain"] > 1 ||
		c["sent"]+c["suppressed"]+c["failed"]+c["uncertain"] != st.Recipients {
		t.Errorf("%s ended as %s with exit code %d: %v of %d recipients", st.Key, st.State, code, c, st.Recipients)
	}
}

// goldenMail is a mail that others are to read too.
type goldenMail struct{ name, raw string }

// mailsOf returns the mails of a notice in the sink, by mailbox.
func (s *system) mailsOf(key string) map[string]sink.Mail {
	s.t.Helper()
	of := map[string]sink.Mail{}
	for _, m := range s.sink.Mails() {
		if !strings.Contains(m.Raw, "X-Notice: "+key+"\r\n") {
			continue
		}
		for _, box := range s.boxes(m) {
			if _, twice := of[box]; twice {
				s.t.Errorf("a mailbox has %s twice", key)
			}
			of[box] = m
		}
	}
	return of
}

// mailTo returns the mail that a reader got, at the alternate mailbox where the primary one is broken.
func mailTo(t *testing.T, rows []notice.CustomerRow, mails map[string]sink.Mail, b notice.Body, r reader) sink.Mail {
	t.Helper()
	at := map[string]int{}
	for _, row := range rows {
		at[row.EmailKey]++
		at[row.AlternateEmailKey]++
	}
	for _, row := range rows {
		box := row.EmailKey
		for _, broken := range b.BrokenDomains {
			if strings.HasSuffix(box, "@"+broken) {
				box = row.AlternateEmailKey
			}
		}
		if m, ok := mails[box]; ok && at[box] == 1 && r.like(row) {
			return m
		}
	}
	t.Fatalf("%s: no customer got the mail of the golden %s", b.Key, r.golden)
	return sink.Mail{}
}

// asRead is a mail as its reader sees the text part of it.
func asRead(t *testing.T, m sink.Mail) string {
	t.Helper()
	message, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	read, err := render.Open([]byte(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range []string{"From", "To", "Reply-To", "Subject", "Content-Language"} {
		value, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get(name))
		if err != nil {
			t.Fatal(err)
		}
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return b.String() + "\n" + read.Text
}

func goldenText(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update to accept):\n%s", path, diff)
	}
}

// strictEmail fails on any defect that Python's parser sees, in the structure or in a header.
const strictEmail = `
import sys, email, email.policy
for file in sys.argv[1:]:
    print(file, flush=True)
    message = email.message_from_binary_file(open(file, "rb"), policy=email.policy.default.clone(raise_on_defect=True))
    for part in message.walk():
        assert not part.defects, part.defects
        for name in part:
            assert not part[name].defects, (name, part[name].defects)
    assert message.get_body(("plain",)).get_content().strip()
    assert message.get_body(("html",)).get_content().strip()
`

func readStrictly(t *testing.T, mails []goldenMail) {
	python := testkit.Program(t, "python3")
	args := append([]string{"-c", strictEmail}, files(t, t.TempDir(), mails)...)
	if out, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput(); err != nil {
		t.Errorf("the last of these: %v\n%s", err, out)
	}
}

// files writes each mail to a file.
func files(t *testing.T, dir string, mails []goldenMail) (paths []string) {
	t.Helper()
	for _, m := range mails {
		file := filepath.Join(dir, strings.ReplaceAll(m.name, " ", "-")+".eml")
		write(t, file, m.raw)
		paths = append(paths, file)
	}
	return paths
}

// judge has SpamAssassin judge mails, without the network, after it has shown that it knows spam when it sees it.
func judge(t *testing.T, mails []goldenMail) {
	program := testkit.Program(t, "spamassassin")
	const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
	all := append([]goldenMail{{"a mail that is spam", "Subject: x\r\n\r\n" + gtube + "\r\n"}}, mails...)
	scores := spamScores(t, program, all)
	if scores[0] < 100 {
		t.Fatalf("SpamAssassin gives %.1f to a mail that is to get 1000", scores[0])
	}
	for i, m := range mails {
		if score := scores[i+1]; score >= 1 { // 5 is spam
			t.Errorf("%s: SpamAssassin gives %.1f, want less than 1", m.name, score)
		}
	}
}

var spamStatus = regexp.MustCompile(`(?m)^X-Spam-Status: \w+, score=(-?[0-9.]+) .*(?:\r?\n\s.*)*`)

// spamScores judges all mails in one run: to read its rules takes SpamAssassin a second.
func spamScores(t *testing.T, program string, mails []goldenMail) (scores []float64) {
	t.Helper()
	home := t.TempDir()
	args := append([]string{"--local", "--test-mode", "--nocreate-prefs"}, files(t, home, mails)...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "HOME="+home)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	found := spamStatus.FindAllSubmatch(out, -1)
	if err != nil || len(found) != len(mails) {
		t.Fatalf("SpamAssassin judged %d of %d mails: %v\n%s%s", len(found), len(mails), err, out, &errs)
	}
	for i, f := range found {
		t.Logf("%s: %s", mails[i].name, bytes.Join(bytes.Fields(f[0]), []byte(" ")))
		score, err := strconv.ParseFloat(string(f[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		scores = append(scores, score)
	}
	return scores
}

// TestTheHoldOfPowerMaintenanceIsItsWindow reads the settings that go with the example, as serve does.
func TestTheHoldOfPowerMaintenanceIsItsWindow(t *testing.T) {
	t.Parallel()
	const dir = "../../examples/power-maintenance"
	body, err := directory.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	from, until, err := body.Windows[0].Span(body.Zone)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Read(nil, []string{"TOCSIN_CONFIG=" + dir + "/tocsin.yaml",
		"DATABASE_URL=postgres://tocsin@127.0.0.1/tocsin", "REDIS_URL=redis://127.0.0.1:6379"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := settings.Serve()
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Holds) != 1 || !set.Holds[0].From.Equal(from) || !set.Holds[0].Until.Equal(until) || set.Holds[0].Reason == "" {
		t.Errorf("holds %+v, want one from %s until %s with its reason", set.Holds, from, until)
	}
}
