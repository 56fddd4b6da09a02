// Package directory reads a notice from its directory: notice.yaml, and a text such as en.md per language.
package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

const manifest = "notice.yaml"

// Read returns the notice that a directory holds. It checks the form of what is there, and leaves to the
// installation what only that can know: its templates, customers and zones. The errors that it joins are
// each a *notice.Error whose field is file:line, or the file where no line is at fault.
func Read(dir string) (notice.Body, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifest))
	if err != nil {
		return notice.Body{}, absent(dir, err)
	}
	body, errBody := parse(filepath.Join(dir, manifest), text)
	texts, errTexts := readTexts(dir)
	if err := errors.Join(errBody, errTexts); err != nil {
		return notice.Body{}, err
	}
	switch {
	case body.Template == "" && len(texts) == 0:
		return notice.Body{}, notice.Invalid(dir, "has no text: add one such as en.md, or name a template in %s", manifest)
	case body.Template != "" && len(texts) > 0:
		return notice.Body{}, notice.Invalid(filepath.Join(dir, manifest),
			"names the template %q though the directory has texts of its own (%s): keep one of the two",
			body.Template, strings.Join(slices.Sorted(maps.Keys(texts)), ", "))
	}
	body.Texts = texts
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

// readTexts returns the texts of a directory by their language, nil if it has none.
func readTexts(dir string) (map[string]notice.Text, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the notice: %w", err)
	}
	var texts map[string]notice.Text
	var errs []error
	from := map[string]string{}
	for _, e := range entries {
		name := e.Name()
		if !isText(name) || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, name)
		tag, err := language.Parse(strings.TrimSuffix(name, filepath.Ext(name)))
		if err != nil {
			errs = append(errs, notice.Invalid(path, "is not named after a language, as en.md, pt-BR.md or zh-Hant.md are"))
			continue
		}
		if other, again := from[tag.String()]; again {
			errs = append(errs, notice.Invalid(path, "is the same language as %s: %s", other, tag))
			continue
		}
		from[tag.String()] = name
		file, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("read the notice: %w", err))
			continue
		}
		text, err := render.ReadText(path, file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if texts == nil {
			texts = map[string]notice.Text{}
		}
		texts[tag.String()] = text
	}
	return texts, errors.Join(errs...)
}

// isText reports whether a file is meant as a text. A README says what the directory is for, and what begins
// with a dot is an editor's.
func isText(name string) bool {
	return strings.EqualFold(filepath.Ext(name), ".md") &&
		!strings.EqualFold(name, "README.md") && !strings.HasPrefix(name, ".")
}
