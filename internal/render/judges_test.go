package render

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"tocsin/internal/testkit"
)

// usualMail is a mail of a usual notice, which has no word of free text.
type usualMail struct {
	key        string // of its language
	raw        []byte
	text, html string
	sentences  []string // some that it has
}

// TestOtherProgramsReadAMailOfEveryLanguage and find nothing to blame.
func TestOtherProgramsReadAMailOfEveryLanguage(t *testing.T) {
	t.Parallel()
	mails := usualMails(t)
	for name, judge := range map[string]func(*testing.T, []usualMail){"python3": pythonReads, "spamassassin": spamAssassinReads, "rspamd": rspamdReads, "mutt": muttReads, "w3m": w3mReads} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(name); (err != nil || name == "rspamd") && !testkit.All() {
				t.Skipf("make test-all brings %s, or has the time that it takes to begin", name)
			}
			judge(t, mails)
		})
	}
}

// usualMails are in all languages, and none of them has a sentence of another.
func usualMails(t *testing.T) (mails []usualMail) {
	t.Helper()
	p, s := compile(t, usualNotice()), builtin()
	if len(p.Foreign()) > 0 {
		t.Errorf("there are paragraphs in other languages: %v", p.Foreign())
	}
	for _, key := range thirty {
		r := recipient("Bakkerij De Vries", nil)
		r.Language = key
		text, exact := p.Match(key)
		st := stamp()
		st.Date = time.Now()
		m, err := render(p, r, text, st)
		if err != nil || text != key || !exact {
			t.Fatalf("%s has a mail in %s: %v", key, text, err)
		}
		mail := usualMail{key: key, raw: m.Raw, text: m.Text, html: m.HTML}
		for _, name := range []string{"texts.heading.means", "texts.outage.identified.next", "texts.closing.question", "phrases.cause.power", "phrases.effect.mail-kept",
			"phrases.action.do-not-send-again", "words.layout.service", "words.outage.major", "words.phases.identified"} {
			said, _ := s.languages.sentence(key, name)
			mail.sentences = append(mail.sentences, said.text)
			if other, _ := s.languages.sentence(english, name); other.text != said.text && len(wordsOfSentence(other.text)) > 1 && strings.Contains(joinedLines(m.Text), joinedLines(other.text)) {
				t.Errorf("%s has the English %s:\n%s", key, name, m.Text)
			}
		}
		mails = append(mails, mail)
	}
	return mails
}

func pythonReads(t *testing.T, mails []usualMail) {
	python := testkit.Program(t, "python3")
	for _, m := range mails {
		got := output(t, m.raw, "PYTHONIOENCODING=utf-8", python, "-c", strictEmail)
		if !strings.Contains(joinedLines(got), joinedLines(m.text+m.html)) {
			t.Errorf("%s: it reads\n%s", m.key, got)
		}
	}
}

// output is that of a program, with a variable, that is given some input.
func output(t *testing.T, input []byte, variable, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env, cmd.Stdin = append(cmd.Environ(), variable), bytes.NewReader(input)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, &errs)
	}
	return string(out)
}

var spamStatus = regexp.MustCompile(`(?m)^X-Spam-Status: \w+, score=(-?[0-9.]+) .*(?:\r?\n\s.*)*`)

// spamAssassinReads has SpamAssassin judge all mails in one run, without the network. A mail with a score of 5 is spam.
// MIXED_ES counts the Latin letters e within Cyrillic text. Addresses and zones such as Europe/Amsterdam have them: any
// such mail gets it.
func spamAssassinReads(t *testing.T, mails []usualMail) {
	program, home := testkit.Program(t, "spamassassin"), t.TempDir()
	args := []string{"--local", "--test-mode", "--nocreate-prefs", "--cf=score MIXED_ES 0"}
	for _, m := range mails {
		file := filepath.Join(home, m.key)
		if err := os.WriteFile(file, m.raw, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	found := spamStatus.FindAllStringSubmatch(output(t, nil, "HOME="+home, program, args...), -1)
	if len(found) != len(mails) {
		t.Fatalf("it judged %d of %d mails", len(found), len(mails))
	}
	for i, f := range found {
		if score, err := strconv.ParseFloat(f[1], 64); err != nil || score >= 0.5 {
			t.Errorf("%s: %s", mails[i].key, strings.Join(strings.Fields(f[0]), " "))
		}
	}
}

// rspamdSettings are for its rules about content: nothing of it asks the network or knows who sent a mail.
const rspamdSettings = `
.include "$CONFDIR/common.conf"
options {
  filters = "chartable,regexp"; pidfile = "%[1]s/pid"; tempdir = "%[1]s"; hs_cache_dir = "%[1]s"; dynamic_conf = "%[1]s/dynamic";
  dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "error"; }
hfilter { enabled = false; } rbl { enabled = false; } dmarc { enabled = false; } asn { enabled = false; } phishing { enabled = false; }
worker "normal" { bind_socket = "systemd:0"; count = 1; }
`

// czech is a letter without its date that rspamd takes for a mixture of scripts (R_MIXED_CHARSET), as it does many a
// text with accents.
const czech = "From: a@a.example\r\nTo: b@b.example\r\nSubject: =?UTF-8?B?UMWZw63FoXTDrSB0w71kZW4gxaFrb2xlbsOtIMSNdHlyaSBob2Rpbnk=?=\r\n" +
	"Message-ID: <a@a.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nDobrý den, příští týden školení nebude.\r\n"

// rspamdReads has rspamd judge all mails: no symbol has a weight above 0.5, but those that any letter in Czech gets.
func rspamdReads(t *testing.T, mails []usualMail) {
	judge := startRspamd(t)
	if _, known := judge("Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n")["GTUBE"]; !known {
		t.Fatal("it does not know spam")
	}
	unjust := judge("Date: " + time.Now().Format(time.RFC1123Z) + "\r\n" + czech)
	for _, m := range mails {
		for symbol, score := range judge(string(m.raw)) {
			if score > 0.5 && unjust[symbol] <= 0.5 {
				t.Errorf("%s: %s has a weight of %.2f", m.key, symbol, score)
			}
		}
	}
}

// startRspamd returns a function that has an rspamd give the weights of the symbols that a mail gets. It listens on a
// socket that was open before it began, so that nobody has to wait for it.
func startRspamd(t *testing.T) (judge func(raw string) map[string]float64) {
	program := testkit.Program(t, "rspamd")
	dir, err := os.MkdirTemp("", "rspamd") // of a short name, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	settings, socket := filepath.Join(dir, "conf"), filepath.Join(dir, "socket")
	if err := os.WriteFile(settings, fmt.Appendf(nil, rspamdSettings, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, program, "--insecure", "--no-fork", "--config", settings,
		"--var", "DBDIR="+dir, "--var", "RUNDIR="+dir, "--var", "LOGDIR="+dir)
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{file}, &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait(); _ = l.Close() })
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	return func(raw string) map[string]float64 {
		t.Helper()
		resp, err := client.Post("http://rspamd/checkv2", "message/rfc822", strings.NewReader(raw))
		if err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		defer resp.Body.Close()
		var found struct {
			Symbols map[string]struct{ Score float64 }
		}
		if err := json.NewDecoder(resp.Body).Decode(&found); err != nil || len(found.Symbols) == 0 {
			t.Fatalf("%v: %v", err, found)
		}
		weights := map[string]float64{}
		for name, s := range found.Symbols {
			weights[name] = s.Score
		}
		return weights
	}
}

// muttReads has mutt decode each mail, as it does to show one, on a terminal of its own.
func muttReads(t *testing.T, mails []usualMail) {
	mutt, script, dir := testkit.Program(t, "mutt"), testkit.Program(t, "script"), t.TempDir()
	keys, hands, err := os.Pipe() // nobody presses a key
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keys.Close(); _ = hands.Close() }()
	if err := os.Mkdir(filepath.Join(dir, "Mail"), 0o700); err != nil { // else it asks whether to make it
		t.Fatal(err)
	}
	for _, m := range mails {
		box := fmt.Appendf(nil, "From status@example.net Mon Nov  9 17:45:00 2026\n%s\n", bytes.ReplaceAll(m.raw, []byte("\r\n"), []byte("\n")))
		if err := os.WriteFile(filepath.Join(dir, "box"), box, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), script, "-qec", mutt+` -n -F /dev/null -R -f box -e "set pipe_decode wait_key=no" -e 'push "<pipe-message>cat>read<enter><exit>"'`, "/dev/null")
		cmd.Dir, cmd.Stdin, cmd.Env = dir, keys, append(cmd.Environ(), "LC_ALL=C.UTF-8", "TERM=xterm", "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if read, err := os.ReadFile(filepath.Join(dir, "read")); err != nil || !strings.Contains(joinedLines(string(read)), joinedLines(m.text)) {
			t.Errorf("%s: %v: it shows\n%s\nand not\n%s", m.key, err, read, m.text)
		}
	}
}

// lettersApart are those of a text without space, each with its marks apart: w3m joins some.
func lettersApart(s string) string { return norm.NFD.String(joinedLines(s)) }

// w3mReads has w3m show both parts.
func w3mReads(t *testing.T, mails []usualMail) {
	w3m := testkit.Program(t, "w3m")
	shown := func(kind, part string) string {
		return lettersApart(output(t, []byte(part), "HOME="+t.TempDir(), w3m, "-dump", "-cols", "80", "-I", "UTF-8", "-O", "UTF-8", "-T", kind))
	}
	for _, m := range mails {
		if text := shown("text/plain", m.text); text != lettersApart(m.text) {
			t.Errorf("%s: it shows %s", m.key, text)
		}
		html := shown("text/html", m.html)
		for _, said := range m.sentences {
			if !strings.Contains(html, lettersApart(said)) {
				t.Errorf("%s: it does not show %q in %s", m.key, said, html)
			}
		}
	}
}
