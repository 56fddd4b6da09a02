package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/config"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestAKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dkim.pem")
	run := func(args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		code := Run(t.Context(), append([]string{"dkim"}, args...), nil, &out, &errs, []string{"TOCSIN_FROM=Status <status@münchen.example>"})
		return out.String(), errs.String(), code
	}
	out, errs, code := run("new", file, "--selector", "a2026")
	if code != 0 || !strings.HasPrefix(out, "a2026._domainkey.xn--mnchen-3ya.example. IN TXT (\n\t\"v=DKIM1; k=rsa; p=") || !strings.Contains(errs, "selector: a2026") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	for line := range strings.Lines(out) {
		if len(line) > 255 {
			t.Errorf("a text of %d bytes does not fit the DNS", len(line))
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file is %v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, code := run("new", file, "--selector", "b2026"); code != exitUsage || !strings.Contains(errs, "is there already") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key was overwritten: %v", err)
	}
	if _, errs, code := run("new", filepath.Join(t.TempDir(), "x"), "--selector", "a b"); code != exitUsage || !strings.Contains(errs, "selector") {
		t.Errorf("exit %d: %s", code, errs)
	}
	settings := filepath.Join(filepath.Dir(file), "tocsin.yaml")
	write(t, settings, "dkim: [{selector: a2026, key_file: dkim.pem}]\n")
	if shown, errs, code := run("show", "--config", settings); code != 0 || shown != out {
		t.Errorf("exit %d: show prints\n%s%swant\n%s", code, shown, errs, out)
	}
}

func TestCheckComparesKeysWithTheDNS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	record := newRecord(t, map[string]string{}, filepath.Join(dir, "a.pem"), "--selector", "a2026")["a2026._domainkey.example.net"]
	other := newRecord(t, map[string]string{}, filepath.Join(dir, "b.pem"), "--selector", "a2026")["a2026._domainkey.example.net"]
	for name, c := range map[string]struct {
		from, key, published string
		level                notice.Level
		says                 string
	}{
		"the right key":       {"status@example.net", "a.pem", record, notice.LevelOK, "is the one that signs"},
		"a wrong key":         {"status@example.net", "a.pem", other, notice.LevelError, "is not the one that signs"},
		"a sender below it":   {"status@mail.example.net", "a.pem", record, notice.LevelOK, "is the one that signs"},
		"another sender":      {"status@example.org", "a.pem", record, notice.LevelWarning, "does not count for DMARC"},
		"a key that is gone":  {"status@example.net", "c.pem", record, notice.LevelError, "can't be read"},
		"a file that is none": {"status@example.net", "tocsin.yaml", record, notice.LevelError, "is not PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := config.Signing{From: c.from, DKIM: []config.DKIM{{Selector: "a2026", Domain: "example.net", KeyFile: filepath.Join(dir, c.key), Origin: "tocsin.yaml:3"}}}
			if c.key == "tocsin.yaml" {
				set.DKIM[0].KeyFile = filepath.Join(t.TempDir(), "tocsin.yaml")
				write(t, set.DKIM[0].KeyFile, "dkim: []\n")
			}
			found := checkKeys(t.Context(), set, testkit.DNS(t, testkit.Zone{"a2026._domainkey.example.net": {TXT: []string{c.published}}}))
			last := found[len(found)-1]
			if last.Level != c.level || !strings.Contains(last.Message, c.says) {
				t.Errorf("found %+v, want %s %q", found, c.level, c.says)
			}
		})
	}
}
