package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// example is the file of settings beside docker-compose.yml.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../tocsin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// uncommented is the example with all that it shows switched on: comments of words begin with "# ", settings
// with "#" alone, or with "#  " inside a list.
func uncommented(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^#(\w|  )`).ReplaceAllString(example(t), "$1")
}

func TestTheExampleFileWorksAsItStands(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"as it stands": example(t), "with everything in it": uncommented(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, sub := range []string{"templates", "marks"} {
				if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			secret := filepath.Join(dir, "smtp")
			if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer("/run/secrets/smtp", secret, "/var/lib/tocsin/marks", filepath.Join(dir, "marks")).Replace(text)
			file := filepath.Join(dir, "tocsin.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Read(nil, append([]string{"TOCSIN_CONFIG=" + file}, servers...))
			if err != nil {
				t.Fatal(err)
			}
			work, err := s.Work()
			if err != nil {
				t.Error(err)
			}
			if _, err := s.Serve(); err != nil {
				t.Error(err)
			}
			if _, err := s.Client(); err != nil {
				t.Error(err)
			}
			if len(work.Mail.Relays) == 0 || work.Mail.From == "" {
				t.Errorf("%+v", work.Mail)
			}
		})
	}
}

// known asks the reader of the file itself what can stand somewhere: it says so of a word that can't.
func known(t *testing.T, text string) (names []string) {
	t.Helper()
	s, err := Read(nil, append([]string{"TOCSIN_CONFIG=" + write(t, "tocsin.yaml", text)}, servers...))
	if err == nil {
		_, err = s.Work()
	}
	if err == nil {
		return nil
	}
	for _, m := range regexp.MustCompile(`"frobnicate" is not .*known are (.*)`).FindAllStringSubmatch(err.Error(), -1) {
		names = append(names, strings.Split(m[1], ", ")...)
	}
	return names
}

func TestTheExampleFileShowsEverySetting(t *testing.T) {
	t.Parallel()
	text := uncommented(t)
	all := known(t, "frobnicate: 1")
	if len(all) < 10 || !slices.Contains(all, "relays") {
		t.Fatalf("the settings are %q", all)
	}
	fields := 0
	for _, name := range all {
		_, block, shown := strings.Cut("\n"+text, "\n"+name+":")
		if !shown {
			t.Errorf("tocsin.yaml does not show %s", name)
		}
		block = regexp.MustCompile(`(?m)^[\w#]`).Split(block, 2)[0] // up to the next one
		for _, form := range []string{": [{frobnicate: 1}]", ": {frobnicate: 1}"} {
			for _, field := range known(t, name+form) {
				fields++
				if !regexp.MustCompile(`[\s{]` + field + `:`).MatchString(block) {
					t.Errorf("tocsin.yaml does not show %s of %s", field, name)
				}
			}
		}
	}
	if fields < 8 {
		t.Errorf("relays and holds have %d fields", fields)
	}
}
