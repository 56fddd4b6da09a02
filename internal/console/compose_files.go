package console

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"net/http"
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
	Subject  string // of a text that is split into subject and body
	Text     string // the body, or the whole file
	Split    bool
	Editable bool
	Size     int
	Faults   []fault
}

// fault is a mistake in a directory.
type fault struct {
	File, Place, Text string // Place has the file and its line
}

// filesOf returns the files of a draft for its page: notice.yaml, its texts by language, and the others.
func filesOf(files directory.Files, faults []fault) (all []draftFile) {
	for name, content := range files {
		f := draftFile{Name: name, ID: "f-" + strings.ReplaceAll(name, ".", "-"), Size: len(content),
			Editable: len(content) <= mostEdited && utf8.Valid(content) && !bytes.ContainsRune(content, 0) && !bytes.Contains(content, []byte("\r"))}
		if base, ok := strings.CutSuffix(name, ".md"); ok {
			if tag, err := language.Parse(base); err == nil {
				f.Language = tag.String()
			}
		}
		if f.Editable {
			f.Text = string(content)
			if f.Language != "" {
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

// edited returns the files as a form leaves them. Browsers end lines with CRLF; files that have these themselves are not edited here.
func edited(files directory.Files, r *http.Request) (directory.Files, error) {
	now := directory.Files(maps.Clone(files))
	plain := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	for _, f := range filesOf(files, nil) {
		text, there := r.PostForm["text:"+f.Name]
		switch {
		case !there || !f.Editable:
		case f.Split:
			subject := strings.Join(strings.FieldsFunc(r.PostFormValue("subject:"+f.Name), func(c rune) bool { return c == '\n' || c == '\r' }), " ")
			now[f.Name] = joinText(subject, plain.Replace(text[0]))
		default:
			now[f.Name] = []byte(plain.Replace(text[0]))
		}
	}
	if name := r.PostFormValue("remove"); name != directory.Manifest {
		delete(now, name)
	}
	if r.PostFormValue("do") == "add" {
		tag, err := language.Parse(strings.TrimSpace(r.PostFormValue("language")))
		if err != nil {
			return now, notice.Invalid("language", "is not the tag of a language, as en, pt-BR or zh-Hant are")
		}
		if name := tag.String() + ".md"; now[name] == nil {
			now[name] = joinText("", "")
		}
	}
	return now, now.Check()
}

// faultsOf lists the errors that err joins.
func faultsOf(err error) (all []fault) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			all = append(all, faultsOf(e)...)
		}
		return all
	}
	e, ok := errors.AsType[*notice.Error](err)
	if !ok {
		return nil
	}
	file, _, _ := strings.Cut(e.Field, ":")
	file, _, _ = strings.Cut(file, " ")
	return []fault{{File: file, Place: e.Field, Text: strings.TrimPrefix(e.Message, " ")}}
}

func versionOf(r *http.Request) int {
	version, _ := strconv.Atoi(r.PostFormValue("version")) // 0: no version, and a conflict
	return version
}
