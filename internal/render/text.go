package render

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// ReadText reads a text from the file of one language: front matter between two lines of "---", then the Markdown body.
// In the front matter "subject:" stands on a line. A byte order mark and CRLF are tolerated. The subject may be quoted
// as in YAML and need not be, whatever it holds. Its error is an *notice.Error with name and line.
func ReadText(name string, file []byte) (notice.Text, error) {
	t, _, _, err := readText(name, file)
	return t, err
}

// readText also returns the line of the subject, and that in which the body begins.
func readText(name string, file []byte) (t notice.Text, subjectLine, bodyLine int, err error) {
	bad := func(line int, format string, args ...any) (notice.Text, int, int, error) {
		return notice.Text{}, 0, 0, notice.Invalid(name+":"+strconv.Itoa(line), format, args...)
	}
	file = bytes.TrimPrefix(file, []byte("\uFEFF"))
	if !utf8.Valid(file) {
		valid := bytes.ToValidUTF8(file, nil)
		same := 0
		for same < len(valid) && valid[same] == file[same] {
			same++
		}
		return bad(1+bytes.Count(file[:same], []byte("\n")), "is not UTF-8")
	}
	lines := strings.Split(strings.ReplaceAll(string(file), "\r\n", "\n"), "\n")
	if strings.TrimRight(lines[0], " \t") != "---" {
		return bad(1, `must begin with a line "---", "subject: …" and another "---"`)
	}
	seen := false
	for i, line := range lines[1:] {
		line = strings.TrimRight(line, " \t")
		number := i + 2
		key, value, colon := strings.Cut(line, ":")
		switch {
		case line == "---":
			if !seen {
				return bad(number, "the front matter has no subject")
			}
			t.Body = strings.Join(lines[number:], "\n")
			if strings.TrimSpace(t.Body) == "" {
				return bad(number, "there is no text after the front matter")
			}
			return t, subjectLine, number + 1, nil
		case line == "" || strings.HasPrefix(line, "#"):
		case !colon || key != "subject":
			return bad(number, "%q is not known here: the front matter has one line, subject: …", strings.TrimSpace(key))
		case seen:
			return bad(number, "the subject is given twice")
		default:
			seen, subjectLine = true, number
			t.Subject = unquote(strings.TrimSpace(value))
			if t.Subject == "" || t.Subject == "|" || t.Subject == ">" {
				return bad(number, "the subject must stand on this line")
			}
		}
	}
	return bad(len(lines), `the front matter is not closed by a line "---"`)
}

var singleQuoted = regexp.MustCompile(`^'((?:[^']|'')*)'$`)

// unquote resolves the quotes of a YAML scalar; a text that is not one as a whole stays as it is.
func unquote(s string) string {
	if m := singleQuoted.FindStringSubmatch(s); m != nil {
		return strings.ReplaceAll(m[1], "''", "'")
	}
	if strings.HasPrefix(s, `"`) {
		if u, err := strconv.Unquote(s); err == nil {
			return u
		}
	}
	return s
}
