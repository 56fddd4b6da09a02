package yaml

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// errUnput says that a file is written in a form of YAML in which Put can't change one field alone.
var errUnput = errors.New("the fields of the file do not each begin a line of their own")

// Put returns a file with one field of its mapping written anew, as lines that end with line feeds. No lines take the
// field away. All else stays as it is, byte for byte. order has the names of fields: a new one goes behind those that
// stand before it there. Its error says that the form of the file does not allow it, such as a mapping in braces.
func Put(text []byte, name, lines string, order []string) ([]byte, error) {
	fields, err := spans(text)
	if err != nil {
		return nil, err
	}
	own := split(text)
	at := slices.IndexFunc(fields, func(f span) bool { return f.name == name })
	begin, end := len(own), len(own)
	switch {
	case at >= 0:
		begin, end = fields[at].begin, fields[at].end
		lines = keepComment(lines, fields[at])
	case len(fields) > 0:
		begin = fields[0].begin
		for _, f := range fields {
			if slices.Index(order, f.name) < slices.Index(order, name) {
				begin = f.end
			}
		}
		end = begin
	}
	put := indented(lines, fields, bytes.Contains(text, []byte("\r\n")))
	before := strings.Join(own[:begin], "")
	if put != "" && before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	made := []byte(before + put + strings.Join(own[end:], ""))
	return made, sameBut(text, made, name, lines != "")
}

// span is where a field stands: its lines, counted from 0, the end excluded.
type span struct {
	name       string
	begin, end int
	indent     int
	comment    string // behind the value, of a field of one line
}

// split returns the lines of a text with their ends.
func split(text []byte) []string { return slices.Collect(strings.Lines(string(text))) }

// spans returns where each field of a file stands.
func spans(text []byte) (all []span, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || doc.Kind == 0 {
		return nil, err
	}
	root := doc.Content[0]
	if isNull(root) {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0 {
		return nil, errUnput
	}
	lines := split(text)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, end := root.Content[i], len(lines)
		if i+2 < len(root.Content) {
			end = root.Content[i+2].Line - 1
		}
		begin := key.Line - 1
		if begin < 0 || begin >= end || end > len(lines) {
			return nil, errUnput
		}
		for end > begin+1 && between(lines[end-1]) { // it belongs to the field that follows
			end--
		}
		all = append(all, span{key.Value, begin, end, key.Column - 1, root.Content[i+1].LineComment})
	}
	return all, nil
}

// between reports whether a line at the end of a field is not a part of it: it is blank, a comment, or ends the document.
func between(line string) bool {
	text := strings.TrimRight(line, " \t\r\n")
	return text == "" || strings.HasPrefix(text, "#") || text == "..." || text == "---"
}

// keepComment leaves the comment behind a value of one line in its place.
func keepComment(lines string, was span) string {
	if was.comment == "" || was.end-was.begin != 1 || strings.Count(lines, "\n") != 1 {
		return lines
	}
	return strings.TrimSuffix(lines, "\n") + "  " + was.comment + "\n"
}

// indented returns lines as those of a file are: indented as far, with its ends of lines.
func indented(lines string, fields []span, crlf bool) string {
	if len(fields) > 0 && fields[0].indent > 0 && lines != "" {
		blank := strings.Repeat(" ", fields[0].indent)
		lines = blank + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n"+blank) + "\n"
	}
	if crlf {
		lines = strings.ReplaceAll(lines, "\n", "\r\n")
	}
	return lines
}

// sameBut refuses a change by which a file has other values in other fields, as where one named a value that another
// one repeats. It also refuses one by which the field itself is not there as it should be.
func sameBut(before, after []byte, name string, there bool) error {
	was, err := plainFields(before)
	if err != nil {
		return err
	}
	is, err := plainFields(after)
	if err != nil {
		return errUnput
	}
	_, put := is[name]
	delete(was, name)
	delete(is, name)
	if put != there {
		return errUnput
	}
	if !reflect.DeepEqual(was, is) {
		return errUnput
	}
	return nil
}

// plainFields returns the fields of a file without the marks of their form in YAML: comments, quotes, lines.
func plainFields(text []byte) (map[string]any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err == io.EOF {
		return map[string]any{}, nil
	} else if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	root := doc.Content[0]
	if isNull(root) {
		return fields, nil
	}
	if dec.Decode(new(yaml.Node)) != io.EOF || root.Kind != yaml.MappingNode {
		return nil, errUnput
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if _, again := fields[root.Content[i].Value]; again {
			return nil, errUnput
		}
		fields[root.Content[i].Value] = plainNode(root.Content[i+1], 0)
	}
	return fields, nil
}

func plainNode(n *yaml.Node, depth int) any {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	all := []any{n.Kind, n.Value}
	for _, inner := range n.Content {
		if depth < 20 {
			all = append(all, plainNode(inner, depth+1))
		}
	}
	return all
}
