package directory

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
var inManifest = regexp.MustCompile(`^(audience|broken|broken_domains|audience_at|max_recipients|canary|amends|send_at|expires_at)(\.|$)`)

// Locate returns err with the place that the API names in a notice's texts, or in its list of customers, turned into
// one in the files of the directory that they were read from. Any other error is returned as it is.
func Locate(dir string, err error) error {
	e, ok := errors.AsType[*notice.Error](err)
	if !ok {
		return err
	}
	located := *e
	located.Field = Place(dir, e.Field)
	if place, id, ok := listPlace(dir, e.Field); ok {
		located.Field, located.Message = place, fmt.Sprintf("%q %s", id, e.Message)
	}
	return &located
}

// Place turns the API's name of a place in a notice's texts into one in the files of its directory: texts.nl.body:3
// into nl.md:7, below four lines of front matter. It turns a field of the manifest into the field's line there. A name of
// no such place is returned as it is.
func Place(dir, field string) string {
	if m := inDetails.FindStringSubmatch(field); m != nil {
		if path := filepath.Join(dir, detailsPrefix+m[1]+".md"); exists(path) {
			return path + m[2]
		}
		return filepath.Join(dir, manifest) + " details." + m[1]
	}
	m := inText.FindStringSubmatch(field)
	if m == nil && (inManifest.MatchString(field) || stands(dir, field)) {
		return manifestPlace(dir, field)
	}
	if m == nil {
		return field
	}
	path := filepath.Join(dir, m[2]+".md")
	if m[1] == "corrections" {
		path = filepath.Join(dir, correctionPrefix+m[2]+".md")
	}
	if m[3] == "subject" {
		return path + " subject"
	}
	line, err := strconv.Atoi(m[4])
	if err != nil {
		return path
	}
	return fmt.Sprintf("%s:%d", path, line+linesAbove(path))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// linesAbove counts the lines of a text file above its body, 0 where it can't be read any more.
func linesAbove(path string) int {
	file, err := os.ReadFile(path)
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
