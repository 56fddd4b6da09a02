package main

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

const noticeDocument = "../../docs/notice.md"

// fieldsOf lists the fields of a notice as JSON and notice.yaml name them: audience.filter. A field of a list or a map
// of structs is named without its place in it: windows.start. Parameters and phrases are written otherwise than they
// are kept.
func fieldsOf(t reflect.Type, above string) (all []string) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || name == "reminder_of" || name == "places" || strings.HasPrefix(name, "customers_") { // made, not written, as the digest of a list is
			continue
		}
		all = append(all, above+name)
		inner := f.Type
		if inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[notice.Parameter]() && inner != reflect.TypeFor[notice.Phrase]() {
			all = append(all, fieldsOf(inner, above+name+".")...)
		}
	}
	return all
}

// documentedField is a row of a table of docs/notice.md.
var documentedField = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]+) \\| ([^|]+) \\|(?: `([^|]+)`)? \\|$")

func TestTheDocumentListsEveryFieldOfANotice(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, row := range documentedField.FindAllStringSubmatch(string(read(t, noticeDocument)), -1) {
		field, example := row[1], row[4]
		documented = append(documented, field)
		if example == "" || strings.HasPrefix(field, "texts") {
			continue
		}
		dir := noticeWith(t, example)
		body, err := directory.Read(dir)
		if err != nil {
			t.Errorf("the example of %s: %v", field, err)
		} else if value := valueOf(reflect.ValueOf(body), field); !value.IsValid() || value.IsZero() {
			t.Errorf("the example of %s does not set it: %s", field, example)
		}
	}
	slices.Sort(documented)
	want := fieldsOf(reflect.TypeFor[notice.Body](), "")
	slices.Sort(want)
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("the fields (-a notice has +docs/notice.md has):\n%s", diff)
	}
}

// valueOf returns the value of a field that fieldsOf names, in a list that of its first item.
func valueOf(v reflect.Value, field string) reflect.Value {
	for name := range strings.SplitSeq(field, ".") {
		if v.Kind() == reflect.Slice {
			v = v.Index(0)
		}
		v = v.FieldByNameFunc(func(s string) bool {
			f, _ := v.Type().FieldByName(s)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return tag == name
		})
	}
	return v
}

// noticeWith writes a notice that is right, but for these lines in the place of its own.
func noticeWith(t *testing.T, lines string) string {
	t.Helper()
	manifest := []string{lines}
	name, _, _ := strings.Cut(lines, ":")
	for _, line := range []string{"key: documented", "kind: outage", "phase: identified", "audience: all"} {
		if !strings.HasPrefix(line, name+":") {
			manifest = append(manifest, line)
		}
	}
	dir := t.TempDir()
	for file, text := range map[string]string{
		"notice.yaml": strings.Join(manifest, "\n") + "\n",
		"en.md":       "---\nsubject: \"Mail is down\"\n---\nWe are on it.\n",
		"list.csv":    "10001\n", "unknown.csv": "99999\n", "servers.txt": "mx3\n",
	} {
		write(t, filepath.Join(dir, file), text)
	}
	return dir
}

func TestTheRecipesRunAsTheyStand(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work()
	all, dir := recipes(t), t.TempDir()
	for _, recipe := range []struct{ heading, prints string }{
		{"The mail server is down", "mueller@mail.example"},
		{"Post-mortem with a rebate for some", "1 of 2"},
		{"Maintenance tonight", ""},
	} {
		printed := s.cook(dir, all[recipe.heading])
		if len(all[recipe.heading]) == 0 || !strings.Contains(printed, recipe.prints) {
			t.Errorf("%s: %d steps print, without %q,\n%s", recipe.heading, len(all[recipe.heading]), recipe.prints, printed)
		}
	}
	if len(all) != 3 {
		t.Errorf("the document has %d recipes", len(all))
	}
	day := strconv.Itoa(time.Now().Year()+1) + "-12-05"
	for key, want := range map[string]int{
		"mx3-" + day + ".identified": 3, "mx3-" + day + ".monitoring": 3, "mx3-" + day + ".resolved": 4,
		"mx3-" + day + ".postmortem": 4, "mx1-" + day + ".scheduled": 1, "mx1-" + day + ".completed": 1,
	} {
		if st := s.status(key); st.Counts["sent"] != want || !finished(st) {
			t.Errorf("%s ended as %v, want %d sent", key, st.Counts, want)
		}
	}
}

// TestTheDocumentSaysWhatIsRefused gives the lines of the table of docs/notice.md to customers of its first recipe.
func TestTheDocumentSaysWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.cook(t.TempDir(), recipes(t)["The mail server is down"][:2])
	_, table, _ := strings.Cut(string(read(t, noticeDocument)), "| lines | say |")
	tried := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `([^|]+)` \\| ([^|]+) \\|$").FindAllStringSubmatch(table, -1) {
		tried++
		if out, errs, code := s.run("notice", "preview", noticeWith(t, row[1])); code != 1 || !strings.Contains(errs, row[2]) {
			t.Errorf("%s: exit %d, %s%s, want %s", row[1], code, out, errs, row[2])
		}
	}
	if tried < 30 {
		t.Errorf("%d lines were tried: the table is not found", tried)
	}
}
