package config

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/internal/yaml"
)

var update = flag.Bool("update", false, "write the README's table of settings and tocsin.yaml anew")

// The lines of the README between which the table of settings stands.
const (
	tableBegins = "<!-- settings: go generate ./internal/config -->\n"
	tableEnds   = "<!-- end of settings -->\n"
)

// TestDocuments holds the README and tocsin.yaml to the table of settings.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for path, made := range map[string]func(old string) string{
		"../../README.md": func(old string) string {
			before, rest, begins := strings.Cut(old, tableBegins)
			_, after, ends := strings.Cut(rest, tableEnds)
			if !begins || !ends {
				t.Fatalf("the README lacks the lines %q and %q", tableBegins, tableEnds)
			}
			return before + tableBegins + readmeTable() + tableEnds + after
		},
		"../../tocsin.yaml": func(string) string { return exampleFile() },
	} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := made(string(got))
		if want != string(got) && *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not as the table of settings has it; `go generate ./internal/config` writes it anew (-want +got):\n%s", path, diff)
		}
	}
}

func readmeTable() string {
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;").Replace
	var b strings.Builder
	b.WriteString("| setting | for | default |\n| --- | --- | --- |\n")
	for _, s := range table {
		name := "`" + s.ID() + "`"
		switch {
		case s.Name == "":
			name = "`" + s.Key + ":` in the file"
		case s.Secret:
			name += " (secret)"
		}
		unset := escape(s.Without)
		switch {
		case s.Default != "":
			unset = "`" + s.Default + "`"
		case s.Example != "":
			unset = strings.TrimPrefix(unset+"; such as `"+s.Example+"`", "; ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, escape(s.Doc), unset)
	}
	return b.String()
}

func exampleFile() string {
	var b strings.Builder
	b.WriteString(comment("Every setting of the file that TOCSIN_CONFIG names, as docker-compose.yml uses it. A setting that is " +
		"commented out shows its default, or an example where there is none. Variables of the environment go before this file, flags " +
		"before both. Secrets do not stand here: DATABASE_URL, REDIS_URL and TOCSIN_TOKEN are variables, or are read from the files " +
		"that <NAME>_FILE names."))
	for _, s := range table {
		if s.FileKey() == "" {
			continue
		}
		doc := s.Doc
		if s.Default == "" && s.Without != "" {
			doc += " Default: " + s.Without + "."
		}
		if s.path {
			doc += " A relative path begins at the directory of this file."
		}
		sample := s.Sample
		if sample == "" {
			sample = fmt.Sprintf("#%s: %s", s.FileKey(), s.Default+s.Example)
		}
		fmt.Fprintf(&b, "\n%s%s\n", comment(doc), sample)
	}
	return b.String()
}

// comment breaks a text into lines of a comment.
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 120 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// uncommented is tocsin.yaml with all that it shows switched on. Comments of words begin with "# ", settings with "#"
// alone, or with "#  " inside a list.
func uncommented() string {
	return regexp.MustCompile(`(?m)^#(\w|  )`).ReplaceAllString(exampleFile(), "$1")
}

func TestTheExampleFileWorks(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"as it stands": exampleFile(), "with everything in it": uncommented()} {
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
			if err := os.WriteFile(filepath.Join(dir, "logo.png"), picture(t, 2, 1), 0o600); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"webhook": "C2FVsBQIhrscChlQIMV+b5sSYspob7oDwAbCoDs0tCA=", "slack": "https://hooks.example.net/T0/B0/x"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text := strings.NewReplacer("/run/secrets/webhook", filepath.Join(dir, "webhook"), "/run/secrets/slack-url", filepath.Join(dir, "slack"), "/run/secrets/smtp", secret, "/var/lib/tocsin/marks", filepath.Join(dir, "marks")).Replace(text)
			file := filepath.Join(dir, "tocsin.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s := settings(t, nil, append([]string{"TOCSIN_CONFIG=" + file}, servers...), "")
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

// TestTheSamplesOfListsShowEveryField of an item.
func TestTheSamplesOfListsShowEveryField(t *testing.T) {
	t.Parallel()
	items := map[string]yaml.Fields{
		"relays": new(file).relayFields(&Relay{}, new(string)), "limits": limitFields(&Limit{}), "dkim": new(file).dkimFields(&DKIM{}),
		"webhooks": webhookFields(&Webhook{}, new(string), new(string), new([]string)),
		"holds":    holdFields(&Hold{}, &notice.Window{}), "only_to": {},
		"branding": new(file).brandingFields(&render.Branding{}, new(yaml.Value)),
	}
	for _, s := range table {
		fields, ok := items[s.FileKey()]
		if s.keep != nil && !ok {
			t.Errorf("this test does not know the fields of %s", s.FileKey())
		}
		for _, field := range fields.Names() {
			if !regexp.MustCompile(`[\s-]` + field + `:\s`).MatchString(s.Sample) {
				t.Errorf("the sample of %s does not show %s", s.FileKey(), field)
			}
		}
	}
}

// TestTheREADMEsExampleIsRead lets the reader see the lists that the README shows.
func TestTheREADMEsExampleIsRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?m)^    relays:.*\n(?:    .*\n)*`).FindString(string(text))
	f, err := parseFile("README.md", []byte(regexp.MustCompile(`(?m)^    `).ReplaceAllString(block, "")))
	if err != nil || len(f.relays) < 2 || len(f.limits) == 0 || len(f.holds) == 0 {
		t.Errorf("%d relays, %d limits, %d holds, %v", len(f.relays), len(f.limits), len(f.holds), err)
	}
}

// TestDocumentsNameNoOtherSettings looks for the variables that the documents name.
func TestDocumentsNameNoOtherSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range table {
		known[s.Name], known[s.Name+"_FILE"] = true, s.Secret
	}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("the documents are %q, %v", files, err)
	}
	for _, file := range append(files, "../../README.md", "../../docker-compose.yml", "../../Dockerfile") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, name := range regexp.MustCompile(`\bTOCSIN_[A-Z_]+\b`).FindAllString(string(text), -1) {
			named[name] = !known[name] && !strings.HasPrefix(name, "TOCSIN_TEST_")
		}
		for _, name := range slices.Sorted(maps.Keys(named)) {
			if named[name] {
				t.Errorf("%s names %s, which is no setting", file, name)
			}
		}
	}
}
