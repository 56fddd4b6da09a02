package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// TestAMailIsShownAsItWasSent, byte for byte with its signatures, though a worker with other templates sent it, and
// though it refers to an earlier mail.
func TestAMailIsShownAsItWasSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tocsin.yaml")
	write(t, file, "dkim:\n  - {selector: a2026, key_file: rsa.pem}\n  - {selector: b2026, key_file: ed.pem}\n")
	newRecord(t, map[string]string{}, filepath.Join(dir, "rsa.pem"), "--selector", "a2026")
	newRecord(t, map[string]string{}, filepath.Join(dir, "ed.pem"), "--selector", "b2026", "--type", "ed25519")
	s := start(t, "TOCSIN_CONFIG="+file)
	s.customers(3)
	var early notice.Message
	s.must(nil, "notice", "send", s.notice("n1", "incident: night"), "--yes", "--json")
	if out, _, code := s.run("notice", "show", "n1", "--address", "c1@example.com", "--json"); code != 0 {
		t.Errorf("before it was sent: exit %d, %s", code, out)
	} else if s.decode(out, &early); early.Proof != notice.ProofNotSent || early.Subject != "Mail ligt eruit" {
		t.Errorf("before it was sent: %s, %q", early.Proof, early.Subject)
	}
	s.otherWorker()
	s.await("n1", "sent", finished)
	s.must(nil, "notice", "send", s.notice("n2", "incident: night", "phase: resolved"), "--yes", "--wait", "--json")
	mails := 0
	for address, all := range s.delivered() {
		for _, m := range all {
			mails++
			key := "n1"
			if strings.Contains(m.Raw, "\r\nX-Notice: n2\r\n") {
				key = "n2"
			}
			out, said, code := s.run("notice", "show", key, "--address", strings.ToUpper(address), "--raw")
			if out != m.Raw || code != 0 || !strings.Contains(said, "This is the mail that was sent") {
				t.Errorf("%s to %s: exit %d, %s\n%s\nwas sent as\n%s", key, address, code, said, out, m.Raw)
			}
			if !strings.HasPrefix(out, "DKIM-Signature: ") || (key == "n2") != strings.Contains(out, "\r\nIn-Reply-To: <") {
				t.Errorf("%s to %s: %s", key, address, out)
			}
		}
	}
	if mails != 6 {
		t.Errorf("%d mails arrived", mails)
	}
	for flag, want := range map[string]string{"--text": "Dear Customer 3,\n", "--html": "<p>Dear Customer 3,</p>"} {
		if out, _, code := s.run("notice", "show", "n1", "--address", "c3", flag); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %s", flag, code, out)
		}
	}
	if out, _, code := s.run("notice", "show", "n1", "--address", "c3"); code != 0 || !strings.Contains(out, "Subject: Mail is down on s3\n") {
		t.Errorf("for people: exit %d, %s", code, out)
	}
	var told struct{ Deliveries []notice.HistoryEntry }
	if s.must(&told, "customers", "history", "c3", "--json"); len(told.Deliveries) != 2 || told.Deliveries[1].Subject != "Mail is down on s3" {
		t.Errorf("the history has %+v", told.Deliveries)
	}
	s.must(nil, "customers", "delete", "c3")
	if out, _, code := s.run("notice", "show", "n1", "--address", "c3"); code == 0 || strings.Contains(out, "Customer 3") {
		t.Errorf("of an erased customer: exit %d, %s", code, out)
	}
	var gone notice.Message
	if gone = erasedMessage(s); gone.Proof != notice.ProofErased || gone.Source != "" {
		t.Errorf("the row of an erased customer: %+v", gone)
	}
}

// erasedMessage is that of the row of n1 that has lost all its customers.
func erasedMessage(s *system) (m notice.Message) {
	s.t.Helper()
	for _, d := range s.report("n1") {
		if d.Address == "" {
			var err error
			if m, err = s.client().Message(s.t.Context(), "n1", d.Seq); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return m
}

// TestAMailThatCantBeTheSameIsShownAsAnother where no mail was kept and the worker has other templates.
func TestAMailThatCantBeTheSameIsShownAsAnother(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_FROM=")
	s.customers(3)
	s.otherWorker()
	s.must(nil, "notice", "send", s.notice("n1"), "--yes", "--wait", "--json")
	out, _, code := s.run("notice", "show", "n1", "--address", "c1@example.com")
	if code != 1 || !strings.Contains(out, "This is not the mail that was sent") || !strings.Contains(out, "its compiled mail is not kept") || !strings.Contains(out, "Beste Customer 1,") {
		t.Errorf("exit %d, %s", code, out)
	}
	if out, said, code := s.run("notice", "show", "n1", "--address", "nobody@example.com"); code != 1 || !strings.Contains(said, "No such customer") {
		t.Errorf("of nobody: exit %d, %s%s", code, out, said)
	}
}
