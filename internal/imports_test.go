package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is Tocsin's import path.
const module = "tocsin/"

// mayImport says, for each package of ours, which others of ours it may import. A new package must be added, here
// and in doc.go.
var mayImport = map[string][]string{
	"internal/notice":    {},
	"internal/yaml":      {"internal/notice"},
	"internal/audience":  {"internal/notice"},
	"internal/ledger":    {"internal/notice", "migrations"},
	"internal/redisurl":  {},
	"internal/queue":     {"internal/notice", "internal/redisurl"},
	"internal/cldr":      {},
	"internal/render":    {"internal/notice", "internal/yaml", "internal/cldr"},
	"internal/pace":      {"internal/notice", "internal/redisurl"},
	"internal/bounce":    {"internal/notice"},
	"internal/hook":      {},
	"internal/send":      {"internal/notice"},
	"internal/dkim":      {"internal/notice"},
	"internal/control":   {"internal/notice", "internal/audience", "internal/ledger", "internal/render", "internal/bounce"},
	"internal/delivery":  {"internal/notice", "internal/audience", "internal/ledger", "internal/queue", "internal/render", "internal/pace", "internal/bounce", "internal/send"},
	"internal/oidc":      {"internal/notice"},
	"internal/webhook":   {"internal/notice"},
	"internal/console":   {"internal/notice", "internal/queue", "internal/oidc", "internal/directory"},
	"internal/optout":    {"internal/notice", "internal/render"},
	"internal/api":       {"internal/notice", "internal/audience", "internal/ledger", "internal/queue", "internal/render", "internal/send", "internal/control", "internal/hook", "internal/optout"},
	"internal/intake":    {"internal/notice"},
	"internal/metrics":   {"internal/notice", "internal/ledger", "internal/pace", "internal/delivery", "internal/intake"},
	"internal/trace":     {"internal/notice", "internal/ledger", "internal/delivery"},
	"internal/config":    {"internal/notice", "internal/yaml", "internal/audience", "internal/redisurl", "internal/render"},
	"internal/directory": {"internal/notice", "internal/yaml", "internal/audience", "internal/render"},
	"internal/local":     {"internal/notice"},
	"internal/sink":      {"internal/notice"},
	"internal/maillog":   {"internal/notice"},
	"internal/testkit":   {"internal/notice", "internal/ledger", "internal/local", "internal/sink", "migrations"},
	"internal":           {},
	"migrations":         {},
	"templates":          {},
	"examples":           {},
	"examples/generate":  {},
}

// confined are modules that only the named packages may import.
var confined = map[string][]string{
	"github.com/coreos/go-oidc":   {"internal/oidc"},
	"github.com/hibiken/asynq":    {"internal/queue"},
	"go.yaml.in/yaml":             {"internal/yaml"},
	"gopkg.in/yaml.v3":            {}, // archived
	"github.com/emersion/go-imap": {"internal/intake"},
	"go.opentelemetry.io":         {"internal/trace", "cmd/tocsin"}, // there in a test
	"github.com/jackc/pgx":        {"internal/ledger", "internal/local", "internal/testkit"},
}

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	for _, dir := range packages(t) {
		ours, known := mayImport[dir]
		command := dir == "cmd" || strings.HasPrefix(dir, "cmd/")
		if !known && !command {
			t.Errorf("%s is a new package: say in imports_test.go what it may import, and in doc.go what it is for", dir)
			continue
		}
		for imported, file := range importsOf(t, dir) {
			name, isOurs := strings.CutPrefix(imported, module)
			switch {
			case isOurs && !command && !slices.Contains(ours, name):
				t.Errorf("%s: %s may not import %s", file, dir, imported)
			case dir == "internal/notice" && strings.Contains(imported, "."):
				t.Errorf("%s: notice imports the standard library alone, not %s", file, imported)
			}
			for module, users := range confined {
				if (imported == module || strings.HasPrefix(imported, module+"/")) && !slices.Contains(users, dir) {
					t.Errorf("%s: %s is for %s, not for %s", file, module, strings.Join(users, ", "), dir)
				}
			}
		}
	}
}

func TestTheMapNamesEveryPackage(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for dir := range mayImport {
		if name := path.Base(dir); path.Dir(dir) == "internal" && !strings.Contains(string(doc), "\n//\t"+name+" ") {
			t.Errorf("doc.go does not say what %s is for", name)
		}
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(dir))); err != nil {
			t.Errorf("imports_test.go knows a package that is not there: %v", err)
		}
	}
}

// packages returns the directories of the module that hold Go files other than tests, slash-separated.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != ".." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")):
			return fs.SkipDir
		case entry.IsDir() && file != ".." && exists(filepath.Join(file, "go.mod")):
			return fs.SkipDir // a module of its own
		case !entry.IsDir() && isSource(name):
			dir, err := filepath.Rel("..", filepath.Dir(file))
			dirs = append(dirs, filepath.ToSlash(dir))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// importsOf returns the imports of a package, each with a file that has it.
func importsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("..", filepath.FromSlash(dir)))
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string]string{}
	for _, entry := range entries {
		if !isSource(entry.Name()) {
			continue
		}
		file := filepath.Join("..", filepath.FromSlash(dir), entry.Name())
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imports[imported] = file
		}
	}
	return imports
}

func isSource(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}
