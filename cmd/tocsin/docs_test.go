package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tocsin/internal/testkit"
)

// TestTheExamplesOfTheAPIDocumentRun runs the commands of docs/api.md in their order, in one directory, and compares
// their output with that in the document: all of a text, and of JSON the fields that it shows.
func TestTheExamplesOfTheAPIDocumentRun(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t)
	s.work()
	dir, curl := t.TempDir(), testkit.Program(t, "curl")
	t.Logf("with %s", curl)
	printed, ran := "", 0
	for _, block := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		switch kind, content := block[1], block[2]; kind {
		case "sh":
			cmd := exec.Command("/bin/sh", "-euc", content)
			cmd.Dir, cmd.Env, cmd.Stderr = dir, s.env, os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v:\n%s", err, content)
			}
			printed = string(out)
			ran++
		case "json":
			if err := showsAll(content, printed); err != nil {
				t.Errorf("%v; printed:\n%.2000s", err, printed)
			}
		case "text":
			if printed != content {
				t.Errorf("printed:\n%s\nthe document says:\n%s", printed, content)
			}
		}
	}
	if ran < 10 {
		t.Errorf("%d examples were run: the document's blocks are not found", ran)
	}
}

// showsAll compares the JSON documents of an example with those that were printed.
func showsAll(said, printed string) error {
	want, err := documents(said)
	if err != nil {
		return fmt.Errorf("the example is no JSON: %w", err)
	}
	got, err := documents(printed)
	if err != nil {
		return err
	}
	return shows("", want, got)
}

func documents(text string) (all []any, err error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var doc any
		if err := dec.Decode(&doc); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, doc)
	}
}

// shows reports where got lacks something of want. An empty object stands for an empty one.
func shows(place string, want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok || len(want) == 0 && len(object) != 0 {
			return fmt.Errorf("%s is %v, the document says %v", place, got, want)
		}
		for name, value := range want {
			if err := shows(place+"."+name, value, object[name]); err != nil {
				return err
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s is %v, the document says %v", place, got, want)
		}
		for i := range want {
			if err := shows(fmt.Sprintf("%s[%d]", place, i), want[i], list[i]); err != nil {
				return err
			}
		}
	default:
		if want != got {
			return fmt.Errorf("%s is %#v, the document says %#v", strings.TrimPrefix(place, "."), got, want)
		}
	}
	return nil
}

// TestTheTestsThatDocumentsNameExist looks for those that stand alone between backticks.
func TestTheTestsThatDocumentsNameExist(t *testing.T) {
	t.Parallel()
	code, err := exec.Command("grep", "-rhoE", "--include=*_test.go", `^func Test\w+`, "../..").Output()
	if err != nil {
		t.Fatal(err)
	}
	there := strings.Fields(string(code))
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(read(t, "../../docs/guarantees.md")), -1)
	for _, name := range named {
		if !slices.Contains(there, name[1]) {
			t.Errorf("docs/guarantees.md names %s, and there is no such test", name[1])
		}
	}
	if len(named) < 50 {
		t.Errorf("it names %d tests", len(named))
	}
}
