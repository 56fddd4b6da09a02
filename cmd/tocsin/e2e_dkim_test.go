package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// dkimpy verifies each signature of the mails that it is given, by records that it is given, and prints one line a mail.
const dkimpy = `
import dkim, json, sys
given = json.load(sys.stdin)
records = {name: value.encode() for name, value in given["records"].items()}
for mail in given["mails"]:
    d = dkim.DKIM(mail.encode())
    n = sum(1 for name, _ in d.headers if name.lower() == b"dkim-signature")
    print(" ".join(str(d.verify(idx=i, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip(".")))) for i in range(n)))
`

// verified has python3-dkim of Debian verify mails.
func verified(t *testing.T, mails []sink.Mail, records map[string]string) []string {
	t.Helper()
	script, err := os.Open(testkit.Program(t, "dkimverify"))
	if err != nil {
		t.Fatal(err)
	}
	defer script.Close()
	first, _ := bufio.NewReader(script).ReadString('\n') // of the Python that has the package
	given := struct {
		Mails   []string          `json:"mails"`
		Records map[string]string `json:"records"`
	}{Records: records}
	for _, m := range mails {
		given.Mails = append(given.Mails, string(m.Raw))
	}
	text, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(strings.TrimPrefix(first, "#!")), "-c", dkimpy)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestMailsAreSigned sends with an RSA and an Ed25519 key, and has somebody else's program verify all mails; with the
// record of another key none verifies.
func TestMailsAreSigned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tocsin.yaml")
	write(t, file, "dkim:\n  - {selector: a2026, key_file: rsa.pem}\n  - {selector: b2026, key_file: ed.pem}\n")
	records := map[string]string{}
	for _, args := range [][]string{{"rsa.pem", "--selector", "a2026"}, {"ed.pem", "--selector", "b2026", "--type", "ed25519"}} {
		records = newRecord(t, records, filepath.Join(dir, args[0]), args[1:]...)
	}
	s := start(t, "TOCSIN_CONFIG="+file)
	s.customers(20)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	mails := s.sink.Mails()
	if len(mails) != 20 {
		t.Fatalf("%d mails arrived", len(mails))
	}
	for i, said := range verified(t, mails, records) {
		if said != "True True" {
			t.Errorf("mail %d: %s", i, said)
		}
	}
	other := newRecord(t, map[string]string{}, filepath.Join(dir, "other.pem"), "--selector", "a2026")
	for i, said := range verified(t, mails, other) {
		if !strings.HasPrefix(said, "False") {
			t.Errorf("mail %d verifies with another key: %s", i, said)
		}
	}
}

// newRecord has a key made, and adds its record to those that there are.
func newRecord(t *testing.T, records map[string]string, file string, args ...string) map[string]string {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"dkim", "new", file, "--domain", "example.net", "--json"}, args...)
	if code := Run(t.Context(), args, nil, &out, &errs, nil); code != 0 {
		t.Fatalf("%v: exit %d\n%s", args, code, &errs)
	}
	var r dkimRecord
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	records[r.Name] = r.Value
	return records
}
