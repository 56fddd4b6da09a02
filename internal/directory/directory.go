// Package directory reads a notice from its directory: notice.yaml, and a text such as en.md per language.
package directory

import (
	"bytes"
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

// Read returns the notice that a directory holds. It checks the form of what is there, and leaves to the
// installation what only that can know: its templates, customers and zones. The errors that it joins are
// each a *notice.Error whose field is file:line, or the file where no line is at fault.
func Read(dir string) (notice.Body, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifest))
	if err != nil {
		return notice.Body{}, absent(dir, err)
	}
	body, errBody := parse(filepath.Join(dir, manifest), text)
	texts, details, errTexts := readTexts(dir)
	if err := errors.Join(errBody, errTexts); err != nil {
		return notice.Body{}, err
	}
	switch {
	case body.Template == "" && len(texts) == 0:
		return notice.Body{}, notice.Invalid(dir, "has no text: add one such as en.md, or name a template in %s", manifest)
	case len(details) > 0 && !body.Details.IsZero():
		return notice.Body{}, notice.Invalid(filepath.Join(dir, manifest), "has details, and so has the directory (details.%s.md): keep one of the two",
			slices.Min(slices.Collect(maps.Keys(details))))
	case len(details) > 0:
		body.Details.ByLanguage = details
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

// detailsPrefix is what the file of a paragraph in a ready text begins with: details.en.md.
const detailsPrefix = "details."

// readTexts returns the texts of a directory by their language, nil if it has none, and the paragraphs for a ready text.
func readTexts(dir string) (texts map[string]notice.Text, details map[string]string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the notice: %w", err)
	}
	var errs []error
	from := map[string]string{}
	for _, e := range entries {
		name := e.Name()
		if !isText(name) || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, name)
		base, detail := strings.CutPrefix(strings.TrimSuffix(name, filepath.Ext(name)), detailsPrefix)
		tag, err := language.Parse(base)
		if err != nil {
			errs = append(errs, notice.Invalid(path, "is not named after a language, as en.md, pt-BR.md or zh-Hant.md are"))
			continue
		}
		key := tag.String()
		if detail {
			key = detailsPrefix + key
		}
		if other, again := from[key]; again {
			errs = append(errs, notice.Invalid(path, "is the same language as %s: %s", other, tag))
			continue
		}
		from[key] = name
		file, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("read the notice: %w", err))
			continue
		}
		if detail {
			if !utf8.Valid(file) || len(bytes.TrimSpace(file)) == 0 {
				errs = append(errs, notice.Invalid(path, "is empty, or not UTF-8"))
			}
			if details == nil {
				details = map[string]string{}
			}
			details[tag.String()] = string(bytes.TrimPrefix(file, []byte("\uFEFF")))
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
	return texts, details, errors.Join(errs...)
}

// isText reports whether a file is meant as a text. A README says what the directory is for, and what begins
// with a dot is an editor's.
func isText(name string) bool {
	return strings.EqualFold(filepath.Ext(name), ".md") &&
		!strings.EqualFold(name, "README.md") && !strings.HasPrefix(name, ".")
}
