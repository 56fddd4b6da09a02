package config

import (
	"errors"
	"path/filepath"

	"tocsin/internal/yaml"
)

// file holds the settings of the file, with the line of each.
type file struct {
	path   string
	values map[string]value // by the name of the variable
	relays []yaml.Value
	limits []Limit
	dkim   []DKIM

	webhooks []yaml.Value

	branding yaml.Value

	holds      []yaml.Value
	holdsGiven bool
}

func parseFile(path string, text []byte) (file, error) {
	f := file{path: path, values: map[string]value{}}
	root, err := yaml.Read(path, text)
	if err != nil {
		return f, err
	}
	known := yaml.Fields{}
	for _, set := range table {
		if key := set.FileKey(); set.keep != nil {
			known[key] = func(v yaml.Value) error { return set.keep(&f, v) }
		} else if key != "" {
			known[key] = func(v yaml.Value) error { return f.keepText(set, v) }
		}
	}
	err = root.Fields("setting", "settings such as “from: status@example.net”", known)
	return f, err
}

// keepText keeps a setting that is one text. An empty one is not set.
func (f *file) keepText(set Setting, v yaml.Value) error {
	text, err := v.Text()
	if err != nil || text == "" {
		return err
	}
	if set.path {
		text = f.beside(text)
	}
	f.values[set.Name] = value{name: set.FileKey(), text: text, origin: v.Place()}
	return nil
}

func (f *file) keepRelays(v yaml.Value) error {
	return v.List("[{name: main, url: smtp://smtp.example.net}]", func(item yaml.Value) error {
		f.relays = append(f.relays, item)
		return nil
	})
}

// readRelays reads the relays and their password files. It is left to the commands that send, since others
// may lack the right to read a password.
func (f *file) readRelays() ([]Relay, error) {
	var relays []Relay
	var errs []error
	lines := map[string]int{}
	for _, v := range f.relays {
		relay, err := f.relay(v)
		errs = append(errs, err)
		if line, again := lines[relay.Name]; again && relay.Name != "" {
			errs = append(errs, v.Wrong("another relay in line %d is named %q too", line, relay.Name))
		}
		lines[relay.Name] = v.Line()
		relays = append(relays, relay)
	}
	return relays, errors.Join(errs...)
}

// beside resolves a path in the file from the directory of the file, so that it does not matter where
// Tocsin is started.
func (f *file) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.path), path)
}
