// Package yaml reads YAML files strictly, for all of Tocsin: one document, in which each field is known and stands once.
//
// Values are taken as they are written: 16, no and 2026-11-09T21:00 are texts. Each error is a *notice.Error that names
// file and line, and says how to mend it. An alias stands for the value that it names; how far aliases multiply is bounded.
package yaml

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"tocsin/internal/notice"
)

// Value is a value in a YAML file. The zero Value, as that of a field without a value, is empty.
type Value struct {
	file string
	name string // that errors call it by; "" = the file as a whole
	node *yaml.Node
}

// Read returns the value of the one document of a file: an empty one where it holds comments alone.
// File is its path, for errors.
func Read(file string, text []byte) (Value, error) {
	v := Value{file: file}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, another yaml.Node
	switch err := dec.Decode(&doc); {
	case err == io.EOF:
		return v, nil
	case err != nil:
		return v, malformed(file, text, err)
	}
	switch err := dec.Decode(&another); {
	case err == nil:
		return v, v.at(&another, "holds more than one YAML document: this line begins another")
	case err != io.EOF:
		return v, malformed(file, text, err)
	}
	v.node = doc.Content[0]
	return v, v.resolve()
}

// Empty reports whether there is no value: nothing after the colon, ~ or null.
func (v Value) Empty() bool { return v.node == nil || isNull(v.node) }

// Plain reports whether the value is neither a list nor a mapping.
func (v Value) Plain() bool { return v.node == nil || v.node.Kind == yaml.ScalarNode }

// Name returns the name of the value in errors: that of its field, unless As gave it another.
func (v Value) Name() string { return v.name }

// Line returns the line in which the value begins, 0 where there is none.
func (v Value) Line() int {
	if v.node == nil {
		return 0
	}
	return v.node.Line
}

// Place returns file and line of the value, as errors name it.
func (v Value) Place() string {
	if v.node == nil {
		return v.file
	}
	return place(v.file, v.node.Line)
}

// As returns the value with another name for errors.
func (v Value) As(name string) Value {
	v.name = name
	return v
}

// Wrong returns an error about the value.
func (v Value) Wrong(format string, args ...any) error {
	return notice.Invalid(v.Place(), format, args...)
}

// at returns an error about a node of the value's file.
func (v Value) at(n *yaml.Node, format string, args ...any) error {
	return notice.Invalid(place(v.file, n.Line), format, args...)
}

// of returns another value of the same file.
func (v Value) of(name string, n *yaml.Node) Value { return Value{file: v.file, name: name, node: n} }

// wants returns the error about a value that has another shape than the one wanted.
func (v Value) wants(what string) error {
	is, name := "plain text", v.name
	switch v.node.Kind {
	case yaml.SequenceNode:
		is = "a list"
	case yaml.MappingNode:
		is = "a mapping"
	}
	if name == "" {
		name = "the file"
	}
	return v.Wrong("%s is %s; want %s", name, is, what)
}

func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// Find returns the value that a path of fields such as audience.notice leads to, empty where there is none. It also
// returns the line of the last field on the way that is there, 0 for none.
func (v Value) Find(path string) (found Value, line int) {
	n := v.node
	for name := range strings.SplitSeq(path, ".") {
		var next *yaml.Node
		for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				next, line = n.Content[i+1], n.Content[i].Line
			}
		}
		n = next
	}
	return v.of(path, n), line
}
