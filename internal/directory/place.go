package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// inText is how the API names a place in a text of a body: texts.nl.body:3.
var inText = regexp.MustCompile(`^(texts|corrections)\.([A-Za-z0-9-]+)(?:\.(subject|body)(?::(\d+))?)?$`)

// inDetails is how the API names a place in the paragraph of a ready text.
var inDetails = regexp.MustCompile(`^details\.([A-Za-z0-9-]+)(:\d+)$`)

// inManifest is how the API names the fields that are the manifest's even where they don't stand there.
var inManifest = regexp.MustCompile(`^(audience|broken|broken_domains|audience_at|max_recipients|canary|amends|send_at|expires_at|was|windows)(\.|$)`)

// Locate returns err with its place in the files of the directory. The API names a place in a notice's texts, or in
// its list of customers, which were read from these files. Any other error is returned as it is.
func Locate(dir string, err error) error { return at(dir).locate(err) }

// LocateIn is Locate for files that are kept elsewhere.
func LocateIn(files fs.FS, err error) error { return place{files: files}.locate(err) }

func (d place) locate(err error) error {
	e, ok := errors.AsType[*notice.Error](err)
	if !ok {
		return err
	}
	located := *e
	located.Field = d.place(e.Field)
	if place, id, ok := d.listPlace(e.Field); ok {
		located.Field, located.Message = place, fmt.Sprintf("%q %s", id, e.Message)
	}
	return &located
}

// Place turns the API's name of a place in a notice's texts into one in the files of its directory. So texts.nl.body:3
// becomes nl.md:7, below four lines of front matter. It turns a field of the manifest into the field's line there. A
// name of no such place is returned as it is.
func Place(dir, field string) string { return at(dir).place(field) }

// PlaceIn is Place for files that are kept elsewhere.
func PlaceIn(files fs.FS, field string) string { return place{files: files}.place(field) }

func (d place) place(field string) string {
	if m := inDetails.FindStringSubmatch(field); m != nil {
		if file := detailsPrefix + m[1] + ".md"; d.exists(file) {
			return d.path(file) + m[2]
		}
		return d.path(manifest) + " details." + m[1]
	}
	m := inText.FindStringSubmatch(field)
	if m == nil && (inManifest.MatchString(field) || d.stands(field)) {
		return d.manifestPlace(field)
	}
	if m == nil {
		return field
	}
	file := m[2] + ".md"
	if m[1] == "corrections" {
		file = correctionPrefix + file
	}
	if m[3] == "subject" {
		return d.path(file) + " subject"
	}
	line, err := strconv.Atoi(m[4])
	if err != nil {
		return d.path(file)
	}
	return fmt.Sprintf("%s:%d", d.path(file), line+d.linesAbove(file))
}

func (d place) exists(file string) bool {
	_, err := fs.Stat(d.files, file)
	return err == nil
}

// linesAbove counts the lines of a text file above its body, 0 where it can't be read any more.
func (d place) linesAbove(name string) int {
	file, err := fs.ReadFile(d.files, name)
	if err != nil {
		return 0
	}
	lines := strings.Split(string(bytes.ReplaceAll(file, []byte("\r\n"), []byte("\n"))), "\n")
	for i, l := range lines {
		if i > 0 && strings.TrimRight(l, " \t") == "---" {
			return i + 1
		}
	}
	return 0
}
