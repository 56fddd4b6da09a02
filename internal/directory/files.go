package directory

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// The bounds of a directory that is kept elsewhere: of its files together, in bytes, and of their number.
const (
	MostBytes = 17 << 20
	MostFiles = 200
)

// Files are the files of a directory by their names. It has no folders.
type Files map[string][]byte

// Manifest is the name of the file that each directory has.
const Manifest = manifest

// FS is the files as a file system: that of an archive of them.
func (f Files) FS() fs.FS {
	var b bytes.Buffer
	if err := f.Zip(&b, ""); err != nil {
		return brokenFS{err}
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		return brokenFS{err}
	}
	return z
}

// brokenFS is a file system from which nothing can be read.
type brokenFS struct{ err error }

// Open makes brokenFS an fs.FS.
func (b brokenFS) Open(string) (fs.File, error) { return nil, b.err }

// Check reports a name that no file of a directory has, and that the files are too many or too large.
func (f Files) Check() error {
	size := 0
	for name, content := range f {
		if !validName(name) {
			return notice.Invalid("file", "%q is not the name of a file, such as en.md or list.csv", name)
		}
		size += len(content)
	}
	if size > MostBytes || len(f) > MostFiles {
		return notice.Invalid("file", "a notice has %d files and %d MiB at most", MostFiles, MostBytes>>20)
	}
	return nil
}

func validName(name string) bool {
	return name != "" && len(name) <= 100 && fs.ValidPath(name) && path.Base(name) == name && !strings.HasPrefix(name, ".") &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
}

// Zip writes the files as an archive, in a folder of that name.
func (f Files) Zip(w io.Writer, folder string) error {
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		out, err := z.Create(path.Join(folder, name))
		if err == nil {
			_, err = out.Write(f[name])
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}

// Unpack returns the files of the directory that an archive holds: a .zip, a .tar, or a .tar.gz. The directory is that
// of the notice.yaml which lies in the fewest folders.
func Unpack(archive []byte) (Files, error) {
	entries := map[string][]byte{}
	left := int64(MostBytes)
	keep := func(name string, r io.Reader) error {
		content, err := io.ReadAll(io.LimitReader(r, left+1))
		if left -= int64(len(content)); left < 0 || len(entries) > 10*MostFiles {
			return notice.Invalid("archive", "holds more than %d MiB, or more than %d files", MostBytes>>20, 10*MostFiles)
		}
		entries[path.Clean(name)] = content
		return err
	}
	read := readTar
	if bytes.HasPrefix(archive, []byte("PK")) {
		read = readZip
	}
	if err := read(archive, keep); err != nil {
		if notice.CodeOf(err) == notice.CodeInvalid {
			return nil, err
		}
		return nil, notice.Invalid("archive", "is neither a .zip nor a .tar that can be read")
	}
	return inArchive(entries)
}

// inArchive picks the directory of a notice out of the entries of an archive.
func inArchive(entries map[string][]byte) (Files, error) {
	dir, found := "", false
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if path.Base(name) == manifest && (!found || strings.Count(name, "/") < strings.Count(path.Join(dir, manifest), "/")) {
			dir, found = path.Dir(name), true
		}
	}
	if !found {
		return nil, notice.Invalid("archive", "holds no %s", manifest)
	}
	f := Files{}
	for name, content := range entries {
		if path.Dir(name) == dir && validName(path.Base(name)) {
			f[path.Base(name)] = content
		}
	}
	return f, f.Check()
}

func readZip(archive []byte, keep func(string, io.Reader) error) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return err
	}
	for _, entry := range z.File {
		if !entry.Mode().IsRegular() {
			continue
		}
		r, err := entry.Open()
		if err != nil {
			return err
		}
		if err := errors.Join(keep(entry.Name, r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func readTar(archive []byte, keep func(string, io.Reader) error) error {
	var r io.Reader = bytes.NewReader(archive)
	if bytes.HasPrefix(archive, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		r = unzipped
	}
	t := tar.NewReader(r)
	for {
		entry, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && entry.Typeflag == tar.TypeReg {
			err = keep(entry.Name, t)
		}
		if err != nil {
			return err
		}
	}
}
