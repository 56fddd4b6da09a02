package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// previewIndex is the page of a preview that leads to its other files.
const previewIndex = "index.html"

//go:embed preview.html
var previewPage string

var previewTemplate = template.Must(template.New(previewIndex).Parse(previewPage))

// previewNames finds in an index page which files were written with it.
var previewNames = regexp.MustCompile(`<meta name="tocsin-preview" content="([^"]*)">`)

// previewFiles returns the files in dir that an earlier preview wrote. Others than these are an error: a preview takes
// the place of a preview, and of nothing else.
func previewFiles(dir string) (old []string, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		if at, statErr := os.Stat(dir); statErr == nil && !at.IsDir() {
			return nil, errors.New("is a file: name a directory")
		}
		return nil, err
	}
	known := []string{previewIndex}
	index, err := os.ReadFile(filepath.Join(dir, previewIndex))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if m := previewNames.FindSubmatch(index); m != nil {
		known = append(known, strings.Fields(string(m[1]))...)
	} else {
		known = nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !slices.Contains(known, e.Name()) {
			return nil, fmt.Errorf("holds %s, which no preview wrote: name another directory, or an empty one", shown(e.Name()))
		}
		old = append(old, e.Name())
	}
	return old, nil
}

// shownMail is a mail on the index page.
type shownMail struct {
	notice.Sample
	File  string // its files' name without the ending
	Dir   string // ltr or rtl
	Mails string // how many get one in this language
}

// writePreview writes the mails of a dry run in place of the old files in dir. They hold customers' data: only their
// owner may read them. The index comes first, so that a preview which was cut short can be written again.
func writePreview(dir string, old []string, body notice.Body, p notice.Plan) error {
	var mails []shownMail
	if p.Asked != nil && p.Asked.Sample != nil {
		mails = append(mails, shownAs("customer", *p.Asked.Sample, "the mail of the customer asked for"))
	}
	for _, s := range p.Samples {
		who := "nobody would get it"
		if n := p.ByLanguage[s.Language]; n > 0 {
			who = many(n, "recipient")
		}
		name := s.Language
		if s.Newcomer {
			name, who = "newcomer."+name, "for newcomers, to whom no mail with the old time went"
		}
		if s.Correction {
			name, who = "correction."+name, "a correction, for those who may have had an earlier version"
		}
		mails = append(mails, shownAs(name, s, who))
	}
	files := map[string]string{}
	var names []string
	for _, m := range mails {
		for ending, text := range map[string]string{".html": m.HTML, ".dark.html": asInTheDark(m.HTML), ".txt": m.Text, ".eml": m.Source} {
			files[m.File+ending] = text
			names = append(names, m.File+ending)
		}
	}
	slices.Sort(names)
	var page bytes.Buffer
	err := previewTemplate.Execute(&page, map[string]any{
		"Names": strings.Join(names, " "), "Key": body.Key, "Sort": sort(body.Kind, body.Phase), "Plan": p, "Audience": brief(audienceOf(body, p.Filter)),
		"Mailed": count(mailed(p)), "Recipients": count(p.Recipients), "Customers": count(p.Customers), "Mails": mails,
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range old {
		if name != previewIndex {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	files[previewIndex] = page.String()
	for _, name := range append([]string{previewIndex}, names...) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// inTheDark is the media query of a dark screen, which a page can't set for a page within it.
var inTheDark = regexp.MustCompile(`\(\s*prefers-color-scheme\s*:\s*dark\s*\)`)

// asInTheDark returns a mail as a dark screen shows it, wherever it is looked at.
func asInTheDark(html string) string {
	html = strings.Replace(html, `<meta name="color-scheme" content="light dark">`, `<meta name="color-scheme" content="dark">`, 1)
	return inTheDark.ReplaceAllString(strings.Replace(html, "color-scheme:light dark", "color-scheme:dark", 1), "(min-width:0)")
}

func shownAs(file string, s notice.Sample, mails string) shownMail {
	m := shownMail{Sample: s, File: file, Dir: "ltr", Mails: mails}
	if script, _ := language.Make(s.Language).Script(); slices.Contains([]string{"Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm"}, script.String()) {
		m.Dir = "rtl"
	}
	return m
}
