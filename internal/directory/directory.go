// Package directory reads a notice from its directory: notice.yaml, and a text such as en.md per language.
package directory

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

const manifest = "notice.yaml"

// Read returns the notice that a directory holds. It checks the form of the files. The installation checks the rest,
// which only it can know: its templates, customers and zones. The errors that Read joins are each a *notice.Error; its
// field is file:line, or the file where no line is at fault.
func Read(dir string) (notice.Body, error) {
	d := at(dir)
	text, err := fs.ReadFile(d.files, manifest)
	if err != nil {
		return notice.Body{}, absent(dir, err)
	}
	return d.read(text)
}

// ReadFiles is Read of a directory that is kept elsewhere, as a draft of the console is. Its errors name the files alone.
func ReadFiles(files fs.FS) (notice.Body, error) {
	d := place{files: files}
	text, err := fs.ReadFile(files, manifest)
	if err != nil {
		return notice.Body{}, notice.Invalid(manifest, "is not there: it says what the notice is about, and for which customers")
	}
	return d.read(text)
}

// ReadAudience returns the audience of a notice.yaml, and the rest of it as far as it can be read. Its error is about the
// audience.
func ReadAudience(files fs.FS) (notice.Body, error) {
	d := place{files: files}
	text, err := fs.ReadFile(files, manifest)
	if err != nil {
		return notice.Body{}, err
	}
	body, err := d.parse(text)
	if body.Audience.Given() {
		return body, nil
	}
	return body, err
}

// place is where a directory is: its files, and its name, with which errors begin.
type place struct {
	files fs.FS
	name  string
}

// at is the directory of that path.
func at(dir string) place { return place{os.DirFS(dir), dir} }

// path is how errors call a file of the directory.
func (d place) path(file string) string { return filepath.Join(d.name, file) }

// read reads the notice that has this text as its manifest.
func (d place) read(text []byte) (notice.Body, error) {
	body, errBody := d.parse(text)
	files, errTexts := d.readTexts()
	if err := errors.Join(errBody, errTexts); err != nil {
		return notice.Body{}, err
	}
	switch {
	case body.Template == "" && len(files.texts) == 0:
		return notice.Body{}, notice.Invalid(cmp.Or(d.name, manifest), "has no text: add one such as en.md, or name a template in %s", manifest)
	case len(files.details) > 0 && !body.Details.IsZero():
		return notice.Body{}, notice.Invalid(d.path(manifest), "has details, and so has the directory (details.%s.md): keep one of the two",
			slices.Min(slices.Collect(maps.Keys(files.details))))
	case len(files.details) > 0:
		body.Details.ByLanguage = files.details
	}
	body.Texts, body.Corrections = files.texts, files.corrections
	return body, nil
}

// absent says why there is no manifest to be read.
func absent(dir string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		info, statErr := os.Stat(dir)
		if statErr == nil && !info.IsDir() {
			return notice.Invalid(dir, "is a file; a notice is a directory that holds %s and its texts", manifest)
		}
		return fmt.Errorf("read the notice: %w", err)
	}
	if _, err := os.Stat(dir); err != nil {
		return notice.Invalid(dir, "there is no such directory")
	}
	if _, err := os.Stat(filepath.Join(dir, "notice.yml")); err == nil {
		return notice.Invalid(dir, "holds notice.yml; it must be named %s", manifest)
	}
	return notice.Invalid(dir, "holds no %s", manifest)
}

// The prefixes of files next to the texts. details.en.md is the paragraph in a ready text, and correction.en.md the
// correction of an amendment.
const (
	detailsPrefix    = "details."
	correctionPrefix = "correction."
)

// textFiles are the texts of a directory by their language; nil where it has none of a kind.
type textFiles struct {
	texts, corrections map[string]notice.Text
	details            map[string]string // the paragraphs for a ready text
}

// readTexts returns the texts of a directory.
func (d place) readTexts() (files textFiles, err error) {
	entries, err := fs.ReadDir(d.files, ".")
	if err != nil {
		return files, fmt.Errorf("read the notice: %w", err)
	}
	var errs []error
	from := map[string]string{}
	for _, e := range entries {
		name := e.Name()
		if !isText(name) || e.IsDir() {
			continue
		}
		path := d.path(name)
		prefix, base := prefixOf(strings.TrimSuffix(name, filepath.Ext(name)))
		tag, err := language.Parse(base)
		if err != nil {
			errs = append(errs, notice.Invalid(path, "is not named after a language, as en.md, pt-BR.md or zh-Hant.md are"))
			continue
		}
		if other, again := from[prefix+tag.String()]; again {
			errs = append(errs, notice.Invalid(path, "is the same language as %s: %s", other, tag))
			continue
		}
		from[prefix+tag.String()] = name
		file, err := fs.ReadFile(d.files, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read the notice: %w", err))
			continue
		}
		if err := files.add(prefix, tag.String(), path, file); err != nil {
			errs = append(errs, err)
		}
	}
	return files, errors.Join(errs...)
}

// prefixOf cuts the prefix off the name of a text, "" where it has none.
func prefixOf(name string) (prefix, base string) {
	for _, p := range []string{detailsPrefix, correctionPrefix} {
		if base, ok := strings.CutPrefix(name, p); ok {
			return p, base
		}
	}
	return "", name
}

// add adds the file of a language.
func (f *textFiles) add(prefix, key, path string, file []byte) error {
	if prefix == detailsPrefix {
		if !utf8.Valid(file) || len(bytes.TrimSpace(file)) == 0 {
			return notice.Invalid(path, "is empty, or not UTF-8")
		}
		f.details = with(f.details, key, string(bytes.TrimPrefix(file, []byte("\uFEFF"))))
		return nil
	}
	text, err := render.ReadText(path, file)
	switch {
	case err != nil:
		return err
	case prefix == correctionPrefix:
		f.corrections = with(f.corrections, key, text)
	default:
		f.texts = with(f.texts, key, text)
	}
	return nil
}

// with returns m, or a new map in place of nil, with one value more.
func with[V any](m map[string]V, key string, v V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = v
	return m
}

// isText reports whether a file is meant as a text. A README tells the purpose of the directory, and a file that
// begins with a dot is an editor's.
func isText(name string) bool {
	return strings.EqualFold(filepath.Ext(name), ".md") &&
		!strings.EqualFold(name, "README.md") && !strings.HasPrefix(name, ".")
}
