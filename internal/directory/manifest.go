package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"tocsin/internal/notice"
)

// doc reads the values of one manifest; path is for its errors.
type doc struct{ path string }

// reader reads the value of the field of that name.
type reader func(name string, n *yaml.Node) error

// parse reads notice.yaml. Values are taken as they are written, so that language no, version 1.10 and the
// time 2026-11-09T21:00 stay what they are.
func parse(path string, text []byte) (notice.Body, error) {
	d := doc{path}
	var b notice.Body
	root, err := d.root(text)
	if err != nil {
		return b, err
	}
	err = d.fields("field of a notice", root, map[string]reader{
		"key":              into(d, &b.Key),
		"incident":         into(d, &b.Incident),
		"kind":             into(d, &b.Kind),
		"phase":            into(d, &b.Phase),
		"severity":         into(d, &b.Severity),
		"template":         into(d, &b.Template),
		"parameters":       d.parameters(&b.Parameters),
		"audience":         d.audience(&b.Audience),
		"default_language": into(d, &b.DefaultLanguage),
		"stacked":          into(d, &b.Stacked),
		"zone":             into(d, &b.Zone),
		"windows":          d.windows(&b.Windows),
		"broken_domains":   d.list(&b.BrokenDomains),
		"reply_to":         into(d, &b.ReplyTo),
		"send_at":          d.instant(&b.SendAt),
		"expires_at":       d.instant(&b.ExpiresAt),
	})
	return b, err
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)`)

func (d doc) root(text []byte) (*yaml.Node, error) {
	var n yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&n); err != nil && err != io.EOF {
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			return nil, notice.Invalid(d.path+":"+m[1], "is not YAML: %s", m[2])
		}
		return nil, notice.Invalid(d.path, "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		return nil, notice.Invalid(d.path, "holds more than one YAML document: a line --- begins another")
	}
	if n.Kind == 0 || isNull(n.Content[0]) {
		return nil, notice.Invalid(d.path, "is empty")
	}
	return n.Content[0], nil
}

// fields hands each value of a mapping to its reader and joins what they have to say. A field without a
// value is absent.
func (d doc) fields(what string, n *yaml.Node, known map[string]reader) error {
	if n.Kind != yaml.MappingNode {
		return d.wrong(n, "want fields such as “%s: …”, one a line", slices.Min(slices.Collect(maps.Keys(known))))
	}
	return d.pairs(n, func(key, val *yaml.Node) error {
		read, ok := known[key.Value]
		if !ok {
			return d.wrong(key, "%q is no %s; known are %s", key.Value, what,
				strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if isNull(val) {
			return nil
		}
		return read(key.Value, val)
	})
}

// pairs calls visit for each entry of a mapping, aliases followed, and refuses a key that stands there twice.
func (d doc) pairs(n *yaml.Node, visit func(key, val *yaml.Node) error) error {
	var errs []error
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		line, again := first[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			errs = append(errs, d.wrong(key, "want a name before the colon"))
		case again:
			errs = append(errs, d.wrong(key, "%s stands in line %d already", key.Value, line))
		default:
			first[key.Value] = key.Line
			errs = append(errs, visit(key, follow(val)))
		}
	}
	return errors.Join(errs...)
}

func into[T ~string](d doc, to *T) reader {
	return func(name string, n *yaml.Node) error {
		text, err := d.text(name, n)
		*to = T(text)
		return err
	}
}

func (d doc) text(name string, n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", d.wrong(n, "%s is %s; want text", name, shape(n))
	}
	return n.Value, nil
}

func (d doc) parameters(to *map[string]string) reader {
	return func(name string, n *yaml.Node) error {
		if n.Kind != yaml.MappingNode {
			return d.wrong(n, "%s is %s; want a mapping such as {component: web server s639}", name, shape(n))
		}
		*to = map[string]string{}
		return d.pairs(n, func(key, val *yaml.Node) error {
			if isNull(val) {
				return nil
			}
			text, err := d.text("the parameter "+key.Value, val)
			(*to)[key.Value] = text
			return err
		})
	}
}

func (d doc) list(to *[]string) reader {
	return func(name string, n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return d.wrong(n, "%s is %s; want a list such as [a, b]", name, shape(n))
		}
		for _, item := range n.Content {
			text, err := d.text("an item of "+name, follow(item))
			if err != nil {
				return err
			}
			*to = append(*to, text)
		}
		return nil
	}
}

func (d doc) windows(to *[]notice.Window) reader {
	return func(name string, n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return d.wrong(n, "%s is %s; want a list such as [{start: 2026-11-09T21:00, end: 2026-11-10T00:00}]", name, shape(n))
		}
		var errs []error
		for _, item := range n.Content {
			var w notice.Window
			err := d.fields("field of a window", follow(item), map[string]reader{
				"start": into(d, &w.Start), "end": into(d, &w.End), "zone": into(d, &w.Zone),
			})
			if err == nil && (w.Start == "" || w.End == "") {
				err = d.wrong(item, "a window wants both a start and an end")
			}
			errs = append(errs, err)
			*to = append(*to, w)
		}
		return errors.Join(errs...)
	}
}

// instant reads a time with its offset: at which instant mail leaves must not depend on who reads the file.
func (d doc) instant(to **time.Time) reader {
	return func(name string, n *yaml.Node) error {
		text, err := d.text(name, n)
		if err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return d.wrong(n, "%s: %q is not a time with its offset from UTC, such as 2026-11-06T09:00:00+01:00", name, text)
		}
		*to = &t
		return nil
	}
}

func (d doc) wrong(n *yaml.Node, format string, args ...any) error {
	return notice.Invalid(fmt.Sprintf("%s:%d", d.path, n.Line), format, args...)
}

func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return "plain text"
}
