package yaml

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tocsin/internal/notice"
)

// advice says how to mend a mistake, by the words of the library for it.
var advice = map[string]string{
	"mapping values are not allowed in this context":         "a value that holds a colon and a space stands in quotes",
	"found character that cannot start any token":            "lines are indented with spaces, not with tabs, and a value that begins with @, % or ` stands in quotes",
	"found a tab character that violates indentation":        "lines are indented with spaces, not with tabs",
	"found unexpected end of stream":                         "a quote is not closed",
	"found unknown escape character":                         "in double quotes a backslash is written twice, in single quotes once",
	"did not find expected node content":                     "a bracket is not closed, or was not opened",
	"did not find expected ',' or ']'":                       "the list in brackets is not closed",
	"did not find expected ',' or '}'":                       "the mapping in braces is not closed",
	"did not find expected key":                              "the fields of a mapping are indented alike, and nothing follows a closing quote",
	"did not find expected '-' indicator":                    "the items of a list are indented alike, each after “- ”",
	"did not find expected alphabetic or numeric character":  "a value that begins with * or & stands in quotes",
	"could not find expected ':'":                            "a field is “name: value”",
	"block sequence entries are not allowed in this context": "each item of a list stands on a line of its own, after “- ”",
}

var problemLine = regexp.MustCompile(`^line (\d+): (.*)`)

// mostSearched bounds the bytes that are parsed again to find the line of a mistake.
const mostSearched = 10_000_000

// malformed returns the error about a text that the library does not take for YAML. The library often names no line, or
// the one before.
func malformed(file string, text []byte, err error) error {
	problem, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := problemLine.FindStringSubmatch(problem); m != nil {
		line, _ = strconv.Atoi(m[1])
		problem = m[2]
	}
	if len(text)*bytes.Count(text, []byte("\n")) <= mostSearched {
		line = mistake(text)
	}
	if right, ok := advice[problem]; ok {
		problem += ": " + right
	}
	return notice.Invalid(place(file, line), "is not YAML: %s", problem)
}

// mistake returns the line of the mistake in a text: the one behind the longest beginning that is YAML.
func mistake(text []byte) int {
	for {
		end := bytes.LastIndexByte(text, '\n')
		if end < 0 {
			return 1
		}
		if text = text[:end]; parses(text) {
			return 2 + bytes.Count(text, []byte("\n"))
		}
	}
}

func parses(text []byte) bool {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		if err := dec.Decode(new(yaml.Node)); err != nil {
			return err == io.EOF
		}
	}
}
