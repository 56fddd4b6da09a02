package directory

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// examples are the directories below examples/ that hold a notice.
func examples(t *testing.T) (dirs []string) {
	t.Helper()
	for _, pattern := range []string{"../../examples/*/notice.yaml", "../../examples/*/*/notice.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			dirs = append(dirs, filepath.Dir(f))
		}
	}
	if len(dirs) < 7 {
		t.Fatalf("there are %d examples", len(dirs))
	}
	return dirs
}

func filesOf(t *testing.T, dir string) Files {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := Files{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if f[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestAnArchiveHoldsTheSameNotice packs each example directory. It comes out of a zip, a tar and a tar.gz byte for
// byte, and reads as it does in its place.
func TestAnArchiveHoldsTheSameNotice(t *testing.T) {
	t.Parallel()
	for _, dir := range examples(t) {
		files := filesOf(t, dir)
		want, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		var zipped, tarred, packed bytes.Buffer
		if err := files.Zip(&zipped, "notice"); err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(&tarred)
		for name, content := range files {
			for _, name := range []string{"x/" + name, "x/below/" + name} {
				if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(content); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.Close()
		g := gzip.NewWriter(&packed)
		_, _ = g.Write(tarred.Bytes())
		g.Close()
		for name, archive := range map[string][]byte{"zip": zipped.Bytes(), "tar": tarred.Bytes(), "tar.gz": packed.Bytes()} {
			got, err := Unpack(archive)
			if diff := cmp.Diff(files, got); diff != "" || err != nil {
				t.Errorf("%s out of a %s: %v (-want +got):\n%s", dir, name, err, diff)
			}
			body, err := ReadFiles(got.FS())
			if diff := cmp.Diff(want, body); diff != "" || err != nil {
				t.Errorf("%s out of a %s reads otherwise: %v (-want +got):\n%s", dir, name, err, diff)
			}
		}
	}
}

func TestAnArchiveThatHoldsNoNoticeIsRefused(t *testing.T) {
	t.Parallel()
	pack := func(f Files) []byte {
		var b bytes.Buffer
		if err := f.Zip(&b, "x"); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, tt := range map[string]struct {
		archive []byte
		want    string
	}{
		"no archive":       {[]byte("key: a\n"), "archive: is neither a .zip nor a .tar that can be read"},
		"a broken zip":     {pack(Files{Manifest: []byte("key: a")})[:40], "archive: is neither a .zip nor a .tar that can be read"},
		"without manifest": {pack(Files{"en.md": []byte("x")}), "archive: holds no notice.yaml"},
		"too large":        {pack(Files{Manifest: []byte("key: a"), "list.csv": make([]byte, MostBytes+1)}), "archive: holds more than 17 MiB, or more than 2000 files"},
	} {
		if _, err := Unpack(tt.archive); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	for _, name := range []string{"", "..", "a/b.md", ".en.md", "a\\b", "a\n"} {
		if (Files{name: nil}).Check() == nil {
			t.Errorf("%q is taken for the name of a file", name)
		}
	}
}
