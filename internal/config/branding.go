package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"tocsin/internal/render"
	"tocsin/internal/yaml"
)

// otherLanguages is the key of the footer for readers of languages that have none of their own.
const otherLanguages = "default"

func (f *file) keepBranding(v yaml.Value) error {
	f.branding = v
	return nil
}

// branding reads the branding and its logo. It is left to the commands that make mails, since others may lack the right to read a
// logo.
func (r *reader) branding() (b render.Branding) {
	f := &r.s.file
	var colours yaml.Value
	err := f.branding.Fields("field of a branding", "a branding such as {name: Example Hosting, logo: logo.png}", f.brandingFields(&b, &colours))
	if err = errors.Join(err, legible(colours, &b)); err != nil {
		r.add(err)
		return render.Branding{}
	}
	return b
}

// brandingFields are the fields of a branding; colours takes those as they stand in the file.
func (f *file) brandingFields(b *render.Branding, colours *yaml.Value) yaml.Fields {
	return yaml.Fields{
		"name":   checked(&b.Name, render.CheckBrandName),
		"logo":   f.logo(&b.Logo),
		"footer": footer(&b.Footer),
		"colours": func(v yaml.Value) error {
			*colours = v
			return v.Fields("colour of a branding", `colours such as {header: "#102a43", link: "#0b5cad"}`,
				yaml.Fields{"header": colour(&b.Header), "header_text": colour(&b.HeaderText), "link": colour(&b.Link)})
		},
	}
}

// logo returns a reader of the file that a field names.
func (f *file) logo(to **render.Logo) func(yaml.Value) error {
	return func(v yaml.Value) error {
		path, err := v.Text()
		if err != nil || path == "" {
			return err
		}
		content, err := readLogo(f.beside(path))
		if err == nil {
			*to, err = render.ParseLogo(content)
		}
		if err != nil {
			return v.Wrong("logo: %s %v", path, err)
		}
		return nil
	}
}

// readLogo returns the content of a file, of one that is too large not all. Its error completes "the file …".
func readLogo(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("can't be read: %w", err)
	case !info.Mode().IsRegular():
		return nil, errors.New("is no file")
	case info.Size() > render.MaxLogo:
		return nil, fmt.Errorf("has %d bytes, and each mail would carry them: a logo has %d at most", info.Size(), render.MaxLogo)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	return content, nil
}

// colour returns a reader that keeps a colour.
func colour(to *string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		switch {
		case err != nil:
			return err
		case text == "":
			return v.Wrong("%s has no value: write a colour in quotes, such as \"#0b5cad\", for a # without them begins a comment", v.Name())
		}
		if _, err := render.Contrast(text, text); err != nil {
			return v.Wrong("%s: %v", v.Name(), err)
		}
		*to = strings.ToLower(text)
		return nil
	}
}

// legible refuses colours that can't be read on one another, and sets that of a header's text where it is not said.
func legible(colours yaml.Value, b *render.Branding) error {
	var errs []error
	check := func(name, colour string, err error) {
		if v, _ := colours.Find(name); err != nil {
			errs = append(errs, v.Wrong("%s: %s %v", name, colour, err))
		}
	}
	if b.Link != "" {
		check("link", b.Link, render.CheckLink(b.Link))
	}
	switch {
	case b.Header != "" && b.HeaderText != "":
		check("header_text", b.HeaderText, render.CheckLegible(b.HeaderText, b.Header))
	case b.Header != "":
		b.HeaderText = render.Legible("#ffffff", b.Header)
	case b.HeaderText != "":
		check("header_text", b.HeaderText, errors.New("has no colour behind it: set header too"))
	}
	return errors.Join(errs...)
}

// footer returns a reader that keeps the lines of each language, or of all where they are one text.
func footer(to *map[string]string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		if v.Empty() {
			return nil
		}
		*to = map[string]string{}
		if v.Plain() {
			return footerLines(*to, "", v)
		}
		err := v.Each("lines by language, such as {default: Example Ltd, de: Beispiel GmbH}", func(key, val yaml.Value) error {
			language := ""
			if key.Name() != otherLanguages {
				var err error
				if language, err = render.CanonicalLanguage(key.Name()); err != nil {
					return key.Wrong("footer: %v; %s is for readers of all other languages", err, otherLanguages)
				}
			}
			if _, again := (*to)[language]; again {
				return key.Wrong("footer: %s is given twice, under two spellings", language)
			}
			return footerLines(*to, language, val)
		})
		if _, ok := (*to)[""]; !ok {
			err = errors.Join(err, v.Wrong("footer: readers of all other languages would have none: add %s: with the lines for them", otherLanguages))
		}
		return err
	}
}

// footerLines keeps the lines for the readers of a language.
func footerLines(to map[string]string, language string, v yaml.Value) error {
	text, err := v.Text()
	if err != nil {
		return err
	}
	if to[language], err = render.ParseFooter(text); err != nil {
		return v.Wrong("footer: %s %v", v.Name(), err)
	}
	return nil
}
