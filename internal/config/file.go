package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"tocsin/internal/notice"
)

// file is what the file of settings holds, with the line of each setting.
type file struct {
	path   string
	values map[string]value // by the name of the variable
	relays []*yaml.Node
	limits []Limit

	holds      []*yaml.Node
	holdsGiven bool
}

// inFile lists the settings that the file may hold beside its relays: all that are no secrets.
var inFile = []string{
	"TOCSIN_FROM", "TOCSIN_REPLY_TO", "TOCSIN_ZONE", "TOCSIN_TEMPLATE_DIR", "TOCSIN_PUBLIC_URL", "TOCSIN_LISTEN",
	"TOCSIN_WORK_LISTEN", "TOCSIN_URL", "TOCSIN_MAX_OPEN_MARKS", "TOCSIN_DRAIN", "TOCSIN_LEASE",
	"TOCSIN_FIRST_RETRY", "TOCSIN_MARKS_DIR", "TOCSIN_LOG", "TOCSIN_RETENTION",
}

func parseFile(path string, text []byte) (file, error) {
	f := file{path: path, values: map[string]value{}}
	root, err := f.root(text)
	if err != nil || root == nil {
		return f, err
	}
	known := map[string]func(*yaml.Node) error{"relays": f.keepRelays, "limits": f.keepLimits, "holds": f.keepHolds}
	for _, name := range inFile {
		known[fileKey(name)] = func(n *yaml.Node) error {
			text, err := f.scalar(fileKey(name), n)
			if err != nil || text == "" {
				return err
			}
			if name == "TOCSIN_TEMPLATE_DIR" || name == "TOCSIN_MARKS_DIR" {
				text = f.beside(text)
			}
			f.values[name] = value{name: fileKey(name), text: text, origin: f.at(n)}
			return nil
		}
	}
	return f, f.fields("a setting", root, known)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)`)

// root returns the mapping that the file consists of, nil for an empty file.
func (f *file) root(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err != nil && err != io.EOF {
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			return nil, notice.Invalid(f.path+":"+m[1], "is not YAML: %s", m[2])
		}
		return nil, notice.Invalid(f.path, "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		return nil, notice.Invalid(f.path, "holds more than one YAML document: a line --- begins another")
	}
	if doc.Kind == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, notice.Invalid(f.at(root), "want settings such as “from: status@example.net”")
	}
	return root, nil
}

// fields hands each value of a mapping to its reader and joins what they have to say.
func (f *file) fields(what string, n *yaml.Node, known map[string]func(*yaml.Node) error) error {
	var errs []error
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		read, ok := known[key.Value]
		switch line, again := first[key.Value]; {
		case again:
			errs = append(errs, notice.Invalid(f.at(key), "%s stands in line %d already", key.Value, line))
		case ok:
			errs = append(errs, read(val))
		default:
			errs = append(errs, notice.Invalid(f.at(key), "%q is not %s; known are %s", key.Value, what, names(known)))
		}
		first[key.Value] = key.Line
	}
	return errors.Join(errs...)
}

func (f *file) keepRelays(n *yaml.Node) error {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return notice.Invalid(f.at(n), "relays wants a list such as “- {name: main, url: smtp://smtp.example.net}”")
	}
	f.relays = n.Content
	return nil
}

// readRelays reads the relays and their password files. It is left to the commands that send, since others
// may lack the right to read a password.
func (f *file) readRelays() ([]Relay, error) {
	var relays []Relay
	var errs []error
	lines := map[string]int{}
	for _, n := range f.relays {
		relay, err := f.relay(n)
		errs = append(errs, err)
		if line, again := lines[relay.Name]; again && relay.Name != "" {
			errs = append(errs, notice.Invalid(f.at(n), "another relay in line %d is named %q too", line, relay.Name))
		}
		lines[relay.Name] = n.Line
		relays = append(relays, relay)
	}
	return relays, errors.Join(errs...)
}

func (f *file) relay(n *yaml.Node) (Relay, error) {
	r := Relay{Connections: DefaultConnections, Origin: f.at(n)}
	if n.Kind != yaml.MappingNode {
		return r, notice.Invalid(f.at(n), "a relay is something like {name: main, url: smtp://smtp.example.net}")
	}
	passwordFile := ""
	err := f.fields("a field of a relay", n, map[string]func(*yaml.Node) error{
		"name":          f.into("name", &r.Name),
		"password_file": f.into("password_file", &passwordFile),
		"url": func(n *yaml.Node) (err error) {
			if r.URL, err = f.scalar("url", n); err != nil {
				return err
			}
			if err := isSMTPURL(r.URL); err != nil {
				return notice.Invalid(f.at(n), "url %v", err)
			}
			return nil
		},
		"connections": f.connections(&r.Connections),
		"rate":        f.rate(&r.Rate),
	})
	if err == nil && r.URL == "" {
		err = notice.Invalid(f.at(n), "the relay has no url; it is something like smtp://smtp.example.net:587")
	}
	if err != nil || passwordFile == "" {
		return r, err
	}
	if r.Password, err = readSecret(f.beside(passwordFile)); err != nil {
		return r, notice.Invalid(f.at(n), "password_file %s %v", passwordFile, err)
	}
	return r, nil
}

func (f *file) into(name string, to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		*to, err = f.scalar(name, n)
		return err
	}
}

// scalar returns a plain value as it is written: 16, no and 2026-11-09 are texts here.
func (f *file) scalar(name string, n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", notice.Invalid(f.at(n), "%s wants one plain value, not a list or a mapping", name)
	}
	if isNull(n) {
		return "", nil
	}
	return n.Value, nil
}

func (f *file) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", f.path, n.Line) }

// beside resolves a path in the file from the directory of the file, so that it does not matter where
// Tocsin is started.
func (f *file) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.path), path)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func names(known map[string]func(*yaml.Node) error) string {
	return strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}
