package main

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/posener/complete"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args string
		want int
		says string // stands in the output
	}{
		{"help is no mistake", "--help", 0, "customers import"},
		{"help of a command is no mistake", "notice send --help", 0, "--wait"},
		{"version", "version", 0, "tocsin "},
		{"the version as a flag", "--version", 0, "tocsin "},
		{"completion", "completion bash --code", 0, "complete -o default"},
		{"completion of a shell that is not known", "completion csh", 2, "csh"},
		{"manual", "man", 0, "notice send"},
		{"no command", "", 2, "expected one of"},
		{"unknown command", "notice frobnicate", 2, "frobnicate"},
		{"unknown flag", "notice list --frob", 2, "--frob"},
		{"argument missing", "notice send", 2, "<dir>"},
		{"decision missing", "notice settle feeds.1", 2, "--sent"},
		{"two decisions", "notice settle feeds.1 --sent --requeue --all-uncertain", 2, "can't be used together"},
		{"unknown format of a report", "report feeds.1 --format xml", 2, "--format"},
		{"unknown state", "report feeds.1 --state lost", 2, `"lost"`},
		{"bad setting", "notice list --url nowhere", 2, "TOCSIN_URL (flag --url)"},
		{"settings' file is away", "notice list --config /does/not/exist", 2, "TOCSIN_CONFIG (flag --config)"},
		{"work without settings", "work", 2, "TOCSIN_FROM: is not set"},
		{"serve without settings", "serve", 2, "DATABASE_URL: is not set"},
		{"migrate without settings", "migrate", 2, "DATABASE_URL: is not set"},
		{"sink without a place", "sink", 2, "--listen"},
		{"file is away", "customers import /does/not/exist.csv", 1, "no such file"},
		{"directory is away", "notice preview /does/not/exist", 1, "there is no such directory"},
		{"mails that can't be settled yet", "notice settle feeds.1 --requeue --all-uncertain", 1, "1 mail can't be sent again before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := setup(t).run(t, strings.Fields(tt.args)...)
			if code != tt.want {
				t.Errorf("exit code %d, want %d", code, tt.want)
			}
			if !strings.Contains(stdout+stderr, tt.says) {
				t.Errorf("lacks %q:\n%s%s", tt.says, stdout, stderr)
			}
		})
	}
}

func TestAShellCompletesCommandsAndFlags(t *testing.T) {
	t.Parallel()
	command, err := kongcompletion.Command(newParser(io.Discard, io.Discard, settingFlags{}, func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{"notice se": "send", "notice send --wa": "--wait", "notice list --u": "--url"} {
		words := strings.Fields(line)
		last := len(words) - 1
		got := command.Predict(complete.Args{All: words, Completed: words[:last], Last: words[last], LastCompleted: words[max(0, last-1)]})
		if !slices.Contains(got, want) {
			t.Errorf("%q goes on with %q, want %q", line, got, want)
		}
	}
}

func TestServeRefusesToListenToEverybodyWithoutAToken(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := Run(t.Context(), []string{"serve", "--listen", "0.0.0.0:0"}, strings.NewReader(""), &out, &errs,
		[]string{"DATABASE_URL=postgres://127.0.0.1:1/x", "REDIS_URL=redis://127.0.0.1:1"})
	if code != exitUsage || !strings.Contains(errs.String(), "TOCSIN_TOKEN") {
		t.Errorf("exit code %d: %s", code, &errs)
	}
}

func TestImportWithBadRowsFailsAndReportsThem(t *testing.T) {
	t.Parallel()
	c := setup(t)
	file := filepath.Join(c.dir, "customers.csv")
	write(t, file, "id,email\nc-1,a@example.net\nc-2,nonsense\n")
	code, stdout, stderr := c.run(t, "customers", "import", file, "--json")
	doc := theDocument(t, stdout)
	if rejected, _ := doc["rejected"].([]any); code != exitFailed || doc["inserted"] != 1.0 || len(rejected) != 1 {
		t.Errorf("exit code %d, document %v, stderr %s", code, doc, stderr)
	}
	write(t, file, "id,email\nc-1,a@example.net\n")
	if code, stdout, stderr := c.run(t, "customers", "import", file); code != exitDone || !strings.HasPrefix(stdout, "1 row read: 1 inserted") {
		t.Errorf("exit code %d, stdout %q, stderr %s", code, stdout, stderr)
	}
}

func TestReportAsJSONIsOneDocumentOverManyPages(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := setup(t).run(t, "report", "feeds.1", "--format", "json")
	rows, _ := theDocument(t, stdout)["deliveries"].([]any)
	if code != exitDone || len(rows) != 2500 {
		t.Errorf("exit code %d, %d rows: %s", code, len(rows), stderr)
	}
}

func TestReportAsATableShowsTheFirstOfWhatWantsAttention(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.run(t, "notice", "send", "DIR", "--yes")
	c.st.Counts["uncertain"] = 2500
	_, stdout, _ := c.run(t, "report", "feeds.1")
	if strings.Contains(stdout, "a20@") || !strings.Contains(stdout, "a19@") || !strings.Contains(stdout, "and 2,480 more: tocsin report feeds.1 --state uncertain") {
		t.Error(stdout)
	}
	_, stdout, _ = c.run(t, "report", "feeds.1", "--state", "uncertain")
	if !strings.Contains(stdout, "a2499@") {
		t.Errorf("the last row is not there:\n%.2000s", stdout)
	}
}
