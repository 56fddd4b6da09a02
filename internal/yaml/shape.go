package yaml

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tocsin/internal/notice"
)

// Fields are the readers of the fields that a mapping may have. A field without a value is read too: its value is empty.
type Fields map[string]func(Value) error

// Names returns the names of the fields, sorted.
func (f Fields) Names() []string { return slices.Sorted(maps.Keys(f)) }

// Fields hands each value of a mapping to the reader of its field, and joins their errors. Noun is the kind of a key,
// such as "field of a relay". Like gives an example, such as "a relay such as {url: smtp://smtp.example.net}".
func (v Value) Fields(noun, like string, known Fields) error {
	return v.Each(like, func(key, val Value) error {
		if read, ok := known[val.name]; ok {
			return read(val)
		}
		names := known.Names()
		hint := ""
		if near := notice.Closest(val.name, names); near != "" {
			hint = "did you mean " + near + "? "
		}
		return key.Wrong("%q is not a %s; %sknown are %s", val.name, noun, hint, strings.Join(names, ", "))
	})
}

// Each hands each key of a mapping to visit, with its value, which bears the key's name. It joins the errors of visit
// with those about keys that are no names or stand there twice. Like is as in Fields.
func (v Value) Each(like string, visit func(key, val Value) error) error {
	if v.Empty() {
		return nil
	}
	if v.node.Kind != yaml.MappingNode {
		return v.wants(like)
	}
	var errs []error
	first := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, val := v.node.Content[i], v.node.Content[i+1]
		line, again := first[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			errs = append(errs, v.at(key, "want a name before the colon"))
		case key.Tag == "!!merge":
			errs = append(errs, v.at(key, "<< is not known here: write out the fields that it stands for"))
		case again:
			errs = append(errs, v.at(key, "%s stands in line %d already", key.Value, line))
		default:
			first[key.Value] = key.Line
			errs = append(errs, visit(v.of(key.Value, key), v.of(key.Value, val)))
		}
	}
	return errors.Join(errs...)
}

// List hands each item of a list to visit, and joins its errors. Like is an example of a list.
func (v Value) List(like string, visit func(Value) error) error {
	if v.Empty() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		return v.wants("a list such as " + like)
	}
	var errs []error
	for _, item := range v.node.Content {
		errs = append(errs, visit(v.of("an item of "+v.name, item)))
	}
	return errors.Join(errs...)
}

// Mapping reports whether the value has fields.
func (v Value) Mapping() bool { return !v.Empty() && v.node.Kind == yaml.MappingNode }

// Text returns a plain value as it is written, without its quotes; "" for an empty one.
func (v Value) Text() (string, error) {
	switch {
	case v.Empty():
		return "", nil
	case v.node.Kind != yaml.ScalarNode:
		return "", v.wants("one plain value")
	}
	return v.node.Value, nil
}

// Text returns a reader that keeps a text.
func Text[T ~string](to *T) func(Value) error {
	return func(v Value) error {
		text, err := v.Text()
		*to = T(text)
		return err
	}
}

// Texts returns a reader that keeps a list of texts. Like is an example of one.
func Texts(to *[]string, like string) func(Value) error {
	return func(v Value) error {
		return v.List(like, func(item Value) error {
			text, err := item.Text()
			*to = append(*to, text)
			return err
		})
	}
}

// Flag returns a reader that keeps true or false; an empty value is false.
func Flag(to *bool) func(Value) error {
	return func(v Value) error {
		text, err := v.Text()
		if err == nil && text != "true" && text != "false" && !v.Empty() {
			err = v.Wrong("%s: %q is neither true nor false", v.name, text)
		}
		*to = text == "true"
		return err
	}
}
