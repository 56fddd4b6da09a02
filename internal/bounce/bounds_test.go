package bounce

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile are mails that cost a careless reader time, memory or stack.
func hostile() map[string][]byte {
	var nested strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	bounce := "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nSubject: failure notice\n"
	repeat := func(begin, piece string) []byte {
		return []byte(begin + strings.Repeat(piece, maxMail/len(piece)+1))
	}
	return map[string][]byte{
		"nested multiparts": []byte(nested.String()),
		"many parts":        repeat("Content-Type: multipart/mixed; boundary=b\n\n", "--b\n\nx\n"),
		"a part of parts":   repeat("Content-Type: multipart/mixed; boundary=b\n\n", "--b\nContent-Type: multipart/mixed; boundary=b\n\n"),
		"many fields":       repeat("", "Delivered-To: a@example.org\n"),
		"one long field":    repeat("Subject: x\n", " =?utf-8?q?=41?= more"),
		"folded for ever":   repeat("Subject: x\n", " \n "),
		"many recipients":   repeat(bounce+"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n", "Final-Recipient: rfc822; a@example.org\nAction: failed\n\n"),
		"many addresses":    repeat(bounce+"\n", "a@example.org could not be delivered: 550 5.1.1 unknown\n"),
		"headers in words":  repeat(bounce+"\n", "Subject: a\nTo: b\n\n"),
		"words":             repeat(bounce+"\n", "the recipient mailbox was temporarily not able to reach "),
		"tags":              repeat(bounce+"Content-Type: text/html\n\n", "<div><p><td>a&amp;"),
		"one line":          repeat(bounce+"\n", "a"),
		"ats":               repeat(bounce+"\n", "@a.a"),
		"base64":            repeat(bounce+"Content-Transfer-Encoding: base64\n\n", "QUFB"),
		"another charset":   repeat(bounce+"Content-Type: text/plain; charset=iso-2022-jp\n\n", "\x1b$B\xff\xfe"),
		"brackets":          repeat("Subject: AWS\n\n{\"notificationType\":\"Bounce\",\"mail\":", "["),
	}
}

func TestHostileMailsAreBounded(t *testing.T) {
	for name, raw := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			m := Read(raw)
			runtime.ReadMemStats(&after)
			t.Logf("%d KiB: %s, %s, %d KiB allocated", len(raw)>>10, m.Kind, time.Since(began).Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>10)
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 128<<20 {
				t.Errorf("%d MiB were allocated for %d KiB", allocated>>20, len(raw)>>10)
			}
			check(t, m)
		})
	}
}

// check holds m to its bounds.
func check(t *testing.T, m Mail) {
	t.Helper()
	if len(m.Recipients) > maxRecipients || len(m.SentTo) > maxRecipients {
		t.Errorf("%d recipients, %d addresses", len(m.Recipients), len(m.SentTo))
	}
	if m.Kind == Bounce && len(m.Recipients) == 0 {
		t.Error("a bounce of nobody")
	}
	for _, r := range m.Recipients {
		for _, text := range []string{r.Final, r.Original, r.Diagnostic, r.RemoteMTA} {
			if len(text) > maxFieldValue || !utf8.ValidString(text) {
				t.Errorf("%d bytes of %q", len(text), cut(text, 100))
			}
		}
		if failed := r.Action == Failed || r.Action == Delayed; failed != (r.Class != "") {
			t.Errorf("%s has the class %q", r.Action, r.Class)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, raw := range hostile() {
		f.Add(bytes.Clone(cut(raw, 2000)))
	}
	f.Add(crlf(dsn("Reporting-MTA: dns; a\n\nFinal-Recipient: utf-8; \\x{41}@example.org\nAction: failed\nStatus: 5.1.1 (x)\n")))
	f.Add(crlf(arf("Feedback-Type: abuse\n")))
	f.Add([]byte("From: <>\nSubject: =?iso-2022-jp?B?GyRC?= failure\nContent-Type: text/html; charset=utf-16\n\n<p>550 5.1.1 a@b"))
	f.Fuzz(func(t *testing.T, raw []byte) { check(t, Read(raw)) })
}
