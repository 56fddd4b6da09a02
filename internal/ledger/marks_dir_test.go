package ledger_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
)

func TestMarksAreKeptInADirectory(t *testing.T) {
	t.Parallel()
	d := ledger.MarksDir(t.TempDir())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.KeepMarks(t.Context(), "a", map[string]int64{"host/1": 5, "other host/2": 7}))
	must(d.KeepMarks(t.Context(), "a", map[string]int64{"host/1": 6}))
	must(d.KeepMarks(t.Context(), "b", map[string]int64{"host/1": 99}))
	must(os.WriteFile(filepath.Join(string(d), "a.host%2F1.123.new"), []byte("half"), 0o600)) // of a process that died
	got, err := d.Marks(t.Context(), "a")
	must(err)
	if diff := cmp.Diff(map[string]int64{"host/1": 6, "other host/2": 7}, got); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
	must(d.DropMarks(t.Context(), "a", []string{"other host/2", "host/3"}))
	if got, err = d.Marks(t.Context(), "a"); err != nil || len(got) != 1 {
		t.Errorf("after a drop: %v, %v", got, err)
	}
	must(os.WriteFile(filepath.Join(string(d), "a.x"), []byte("garbage"), 0o600))
	if _, err := d.Marks(t.Context(), "a"); err == nil {
		t.Error("a file without a number was passed over: a loss behind it would be too")
	}
	if _, err := ledger.MarksDir("/does/not/exist").Marks(t.Context(), "a"); err == nil {
		t.Error("a directory that is away was taken for an empty one")
	}
}
