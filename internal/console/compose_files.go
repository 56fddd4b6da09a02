package console

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/language"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// mostEdited is how large a file may be that the page shows, in bytes.
const mostEdited = 64 << 10

// draftFile is a file of a draft on its page.
type draftFile struct {
	Name     string
	ID       string // of its part of the page
	Language string // of a text; "" for another file
	Prefix   string // of a text that is not the notice's own: details. or correction.
	Subject  string // of a text that is split into subject and body
	Text     string // the body, or the whole file
	Split    bool
	Editable bool
	There    bool // it is a file of the draft already
	Size     int
	Faults   []fault
}

// fault is a mistake in a directory.
type fault struct {
	File, Place, Text string // Place has the file and its line
	Field             string // of notice.yaml
}

// filesOf returns the files of a draft for its page: notice.yaml, its texts by language, and the others.
func filesOf(files directory.Files, faults []fault) (all []draftFile) {
	for name, content := range files {
		f := draftFile{Name: name, ID: idOf(name), There: true, Size: len(content),
			Editable: len(content) <= mostEdited && utf8.Valid(content) && !bytes.ContainsRune(content, 0) && !bytes.Contains(content, []byte("\r"))}
		f.Language, f.Prefix = textOf(name)
		if f.Editable {
			f.Text = string(content)
			if f.Language != "" && f.Prefix != detailsFile {
				f.Subject, f.Text, f.Split = splitText(f.Text)
			}
		}
		for _, problem := range faults {
			if problem.File == name {
				f.Faults = append(f.Faults, problem)
			}
		}
		all = append(all, f)
	}
	rank := func(f draftFile) int {
		switch {
		case f.Name == directory.Manifest:
			return 0
		case f.Language != "":
			return 1
		}
		return 2
	}
	slices.SortFunc(all, func(a, b draftFile) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a.Name, b.Name)) })
	return all
}

func idOf(name string) string { return "f-" + strings.ReplaceAll(name, ".", "-") }

// splitText splits a text into its subject, as it is written, and its body. One with more in its front matter is left whole.
func splitText(text string) (subject, body string, ok bool) {
	rest, begins := strings.CutPrefix(text, "---\nsubject:")
	subject, body, ends := strings.Cut(rest, "\n---\n")
	if !begins || !ends || strings.Contains(subject, "\n") || subject != "" && !strings.HasPrefix(subject, " ") {
		return "", text, false
	}
	subject = strings.TrimPrefix(subject, " ")
	if !bytes.Equal(joinText(subject, body), []byte(text)) {
		return "", text, false
	}
	return subject, body, true
}

// joinText is the file of a text.
func joinText(subject, body string) []byte {
	return []byte("---\nsubject: " + subject + "\n---\n" + body)
}

// unixLines ends lines with line feeds. Browsers end them with CRLF; files that have these themselves are not edited here.
func unixLines(text string) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
}

// oneLine is a text on one line.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' }), " ")
}

// edited returns the files as a form leaves them.
func edited(files directory.Files, form url.Values, ready notice.Ready) (directory.Files, error) {
	now := directory.Files(maps.Clone(files))
	for _, f := range filesOf(files, nil) {
		text, there := form["text:"+f.Name]
		switch {
		case !there || !f.Editable:
		case f.Split:
			now[f.Name] = joinText(oneLine(form.Get("subject:"+f.Name)), unixLines(text[0]))
		default:
			now[f.Name] = []byte(unixLines(text[0]))
		}
	}
	addTexts(now, form)
	if name := form.Get("remove"); name != directory.Manifest {
		delete(now, name)
	}
	if form.Get("do") == "add" {
		tag, err := language.Parse(strings.TrimSpace(form.Get("language")))
		if err != nil {
			return now, notice.Invalid("language", "is not the tag of a language, as en, pt-BR or zh-Hant are")
		}
		if name := tag.String() + ".md"; now[name] == nil && form.Get("y."+"template") == "" {
			now[name] = joinText("", "")
		}
	}
	if form.Has("form") {
		sheet := filledIn(directory.ReadSheet(now[directory.Manifest]), form, ready)
		if tag := form.Get("remove-language"); tag != "" {
			dropLanguage(now, &sheet, tag)
		}
		if sheet.Plain["template"] != "" {
			dropBlank(now)
		}
		text, err := sheet.Put(now[directory.Manifest])
		if err != nil {
			return now, err
		}
		now[directory.Manifest] = text
	}
	return now, now.Check()
}

// inPlace takes the line and the field of a fault in notice.yaml apart.
var inPlace = regexp.MustCompile(`^notice\.yaml(?::(\d+))?(?: (.+))?$`)

// faultsOf lists the errors that err joins, in the reader's words where they have them.
func (v *composeView) faultsOf(err error) (all []fault) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			all = append(all, v.faultsOf(e)...)
		}
		return all
	}
	e, ok := errors.AsType[*notice.Error](err)
	if !ok {
		return nil
	}
	file, _, _ := strings.Cut(e.Field, ":")
	file, _, _ = strings.Cut(file, " ")
	f := fault{File: file, Place: e.Field, Text: strings.TrimPrefix(e.Message, " ")}
	said := e
	if len(e.Args) == 1 && e.Form == "%v" { // the field with the reason of another one
		if reason, ok := e.Args[0].(error); ok {
			if inner, ok := errors.AsType[*notice.Error](reason); ok {
				said = inner
			}
		}
	}
	if _, known := refusals[said.Form]; known {
		f.Text = v.refusal(said).Text
	}
	if m := inPlace.FindStringSubmatch(e.Field); m != nil {
		if f.Field = m[2]; f.Field == "" {
			line, _ := strconv.Atoi(m[1]) // 0: none
			f.Field = directory.FieldAt(v.Draft.Files[directory.Manifest], line)
		}
		f.Field = fieldOf(f.Field)
	} else if rest, its := strings.CutPrefix(e.Field, "parameters."); its { // not in the file
		f.File, f.Field = directory.Manifest, fieldOf("parameters."+rest)
	}
	return []fault{f}
}

// fieldOf is the part of a field's name by which the form has it: a parameter and a phrase of their own, and else the field of notice.yaml.
func fieldOf(name string) string {
	if parts := strings.SplitN(name, ".", 3); len(parts) > 1 && (parts[0] == "parameters" || parts[0] == "details") {
		return parts[0] + "." + parts[1]
	}
	name, _, _ = strings.Cut(name, ".")
	if before, _, list := strings.Cut(name, "["); list && before != "phrases" {
		return before
	}
	return name
}

func versionOf(r *http.Request) int {
	version, _ := strconv.Atoi(r.PostFormValue("version")) // 0: no version, and a conflict
	return version
}
