package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"tocsin/internal/notice"
)

// Settings are the sources of all settings, from which each command takes those that it uses.
type Settings struct {
	flags map[string]string // by the name of the variable
	env   map[string]string
	file  file
}

// Read prepares the settings. flags holds those given on the command line, by the name of their variable; env is an
// environment as os.Environ returns it. Read reads the file that TOCSIN_CONFIG names.
func Read(flags map[string]string, env []string) (*Settings, error) {
	s := &Settings{flags: flags, env: map[string]string{}}
	for _, e := range env {
		if name, text, _ := strings.Cut(e, "="); text != "" { // an empty variable is unset
			s.env[name] = text
		}
	}
	return s, s.readFile()
}

// Again reads the settings anew: the file, and those that other files hold, may have changed meanwhile.
func (s *Settings) Again() (*Settings, error) {
	again := &Settings{flags: s.flags, env: s.env}
	return again, again.readFile()
}

func (s *Settings) readFile() error {
	path, ok := s.lookup("TOCSIN_CONFIG")
	if !ok {
		return nil
	}
	text, err := os.ReadFile(path.text)
	if err != nil {
		return path.wrong("can't be read: %v", err)
	}
	s.file, err = parseFile(path.text, text)
	return err
}

// value is the text of a setting and where it came from.
type value struct {
	name, text, origin string
	secret             bool // text must not be shown
}

func (v value) wrong(format string, args ...any) error {
	return notice.Invalid(fmt.Sprintf("%s (%s)", v.name, v.origin), format, args...)
}

// lookup finds a setting that is no secret in the first source that has it.
func (s *Settings) lookup(name string) (value, bool) {
	if text, ok := s.flags[name]; ok {
		return value{name: name, text: text, origin: "flag --" + flagName(name)}, true
	}
	if text, ok := s.env[name]; ok {
		return value{name: name, text: text, origin: "environment"}, true
	}
	v, ok := s.file.values[name]
	return v, ok
}

// secret finds a secret in its variable or in the file that <NAME>_FILE names.
func (s *Settings) secret(name string) (value, bool, error) {
	path, inFile := s.env[name+"_FILE"]
	text, inEnv := s.env[name]
	switch {
	case inFile && inEnv:
		return value{}, false, notice.Invalid(name, "is set, and %s_FILE too: keep one of the two", name)
	case inEnv:
		return value{name: name, text: text, origin: "environment", secret: true}, true, nil
	case !inFile:
		return value{}, false, nil
	}
	v := value{name: name, origin: fmt.Sprintf("file %s, named by %s_FILE", path, name), secret: true}
	var err error
	v.text, err = readSecret(path)
	if err != nil {
		return value{}, false, v.wrong("%v", err)
	}
	return v, true, nil
}

// readSecret returns the content of a file, without a byte order mark, and without line ends behind it.
func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return "", errors.New("is UTF-16; save it as UTF-8")
	}
	text := strings.TrimRight(strings.TrimPrefix(string(b), "\uFEFF"), "\r\n")
	if text == "" {
		return "", errors.New("is empty")
	}
	return text, nil
}
