package audience

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// TestAKeptFilterMeansWhatItMeant reads filters by the rules of the version that kept them.
func TestAKeptFilterMeansWhatItMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`language = "de"`:                    `language == "de"`,
		`language != "de_ch"`:                `NOT (language == "de-CH")`,
		`region = "EU*" AND plan = "trial"`:  `region == "EU*" AND plan = "trial"`,
		`region != "*"`:                      `NOT (region == "*")`,
		`seats > "9" OR id < "100"`:          `seats > "9" OR id < "100"`,
		`name:"5*" OR name < "b*" OR beta:*`: `name:"5*" OR name < "b*" OR beta:*`,
		`seats > 9 AND plan = ""`:            `seats > 9 AND NOT (plan:*)`,
	} {
		f, err := ParseKept(text, notice.FilterLiteral)
		if got := Format(f); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	if _, err := ParseKept(`id >= 1000`, notice.FilterLiteral); err == nil {
		t.Error("a bare number for an id was no filter then")
	}
}

func TestALongFilterIsRead(t *testing.T) {
	t.Parallel()
	for joiner, op := range map[string]string{" OR ": "=", " AND ": "!="} {
		var conditions []string
		for i := range maxComparisons {
			conditions = append(conditions, fmt.Sprintf(`server %s "s%d"`, op, i))
		}
		f, err := ParseFilter(strings.Join(conditions, joiner))
		if err != nil || len(f.Args) != maxComparisons {
			t.Fatalf("%d conditions: %v", len(f.Args), err)
		}
	}
	var values []string
	for i := range testkit.Size(70_000, 200_000) { // more than a statement can bind
		values = append(values, fmt.Sprintf(`"mx%d"`, i))
	}
	f, err := ParseFilter(`server IN (` + strings.Join(values, ",") + `)`)
	if err != nil || len(f.Values) != len(values) {
		t.Fatalf("%d values: %v", len(f.Values), err)
	}
}

func TestFilesOfValuesAreFilledIn(t *testing.T) {
	t.Parallel()
	read := func(file, name string) ([]string, error) {
		if file == "none" {
			return nil, notice.Invalid("none", "there is no such file")
		}
		return []string{name, `a "b" \ c`}, nil
	}
	for text, want := range map[string]string{
		`server IN @servers.txt`:                     `server IN ("server", "a \"b\" \\ c")`,
		`(server NOT IN @my-servers.csv) AND plan:*`: `(server NOT IN ("server", "a \"b\" \\ c")) AND plan:*`,
		"attributes.x IN @a OR\n y IN @b AND plan:*": "attributes.x IN (\"x\", \"a \\\"b\\\" \\\\ c\")OR\n y IN (\"y\", \"a \\\"b\\\" \\\\ c\")AND plan:*",
		`name = "IN @servers.txt"`:                   `name = "IN @servers.txt"`,
		`plan = @servers.txt`:                        `plan = @servers.txt`,
		`plan IN @none "`:                            `plan IN @none "`, // no filter at all
	} {
		got, err := Fill(text, read)
		if err != nil || got != want {
			t.Errorf("%s: got\n%s, %v, want\n%s", text, got, err, want)
		}
	}
	if _, err := Fill(`plan:* AND server IN @none`, read); err == nil || err.Error() != "none: there is no such file" {
		t.Errorf("a file that is missing: %v", err)
	}
}

func TestReadValues(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"mx1\n\n mx3 \r\n":                        {"mx1", "mx3"},
		"\ufeffServer\nmx1":                       {"mx1"},
		"region;server\nEU;mx1\nUS;\n;\"mx 3\"\n": {"mx1", "mx 3"},
		"Mu\u0308nchen\n":                         {"München"},
	} {
		got, err := ReadValues(strings.NewReader(file), "server")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v, -want +got\n%s", file, err, diff)
		}
	}
	for file, want := range map[string]string{
		"":                   "file: is empty",
		"server\n":           "file: holds no value",
		"a,b\nmx1,mx2\n":     "file: line 1 has several columns, and none of them is named server",
		"mx1\nmx\x07\n":      "line 2: holds the control character U+0007",
		"PK\x03\x04\x14\x00": "file: is a workbook",
	} {
		got, err := ReadValues(strings.NewReader(file), "server")
		if e, ok := errors.AsType[*notice.Error](err); !ok || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%q: got %s, %v, want %s", file, slices.Concat(got), err, want)
		}
	}
}
