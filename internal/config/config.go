// Package config reads Tocsin's settings from flags, environment and file.
//
// A flag goes before a variable, a variable before the file that TOCSIN_CONFIG names, the file before the
// default. An empty variable is unset. TOCSIN_DRAIN is "--drain" as a flag and "drain" in the file. Secrets
// (DATABASE_URL, REDIS_URL, TOCSIN_SMTP_URL, TOCSIN_TOKEN) have no flag; <NAME>_FILE reads one from a file.
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// The defaults of the settings that have one.
const (
	DefaultListen       = "127.0.0.1:8080"
	DefaultURL          = "http://127.0.0.1:8080"
	DefaultMaxOpenMarks = 64
	DefaultDrain        = 30 * time.Second
	DefaultLease        = time.Minute
	DefaultFirstRetry   = 30 * time.Second
	DefaultConnections  = 16 // of a relay, per worker
)

// Relay is an SMTP server that mail is handed to, as it was set.
type Relay struct {
	Name        string      // "" where it was not given one
	URL         string      // smtp:// or smtps://; holds the password where Password is empty
	Password    string      // what password_file held
	Connections int         // at most so many at once, in each worker
	Rate        notice.Rate // of all workers together; 0 = no limit
	Origin      string      // which setting, and where it came from: for error messages
}

// Mail is what serve and work must agree on to make the same mails.
type Mail struct {
	From        string // RFC 5322 address, with a display name or without; "" = not set
	ReplyTo     string // RFC 5322 address; "" = none
	Zone        string // IANA zone of notices that name none; "" = UTC
	TemplateDir string // a directory that goes before the built-in templates; "" = none
	PublicURL   string // where readers reach this installation; "" = nowhere
	Relays      []Relay
}

// Serve holds the settings of the command serve.
type Serve struct {
	DatabaseURL string
	RedisURL    string
	Listen      string   // host:port
	Tokens      []string // none, one, or two while rotating
	Mail        Mail
	Holds       []Hold        // nil where the file does not speak of them
	Retention   time.Duration // how long the rows of finished notices are kept; 0 = for ever
}

// Work holds the settings of the command work.
type Work struct {
	DatabaseURL  string
	RedisURL     string
	Listen       string   // host:port of health and metrics; "" = none
	Tokens       []string // what its metrics ask for; as of Serve
	MaxOpenMarks int
	Drain        time.Duration // how long a stopping worker may finish what it began
	Lease        time.Duration // how long a chunk stays with a worker that is not heard of; the same in all workers
	FirstRetry   time.Duration // mean wait before a deferred mail is tried again, which doubles from there
	MarksDir     string        // where the numbers of marks are kept, beside Redis; "" = nowhere
	Mail         Mail          // From and at least one relay are set
	Limits       []Limit
	Holds        []Hold // as of Serve
}

// Client holds the settings of the commands that speak to the API.
type Client struct {
	URL   string // without a slash at its end
	Token string // "" = none
}

// Settings are the sources of all settings, from which each command takes those that it uses.
type Settings struct {
	flags map[string]string // by the name of the variable
	env   map[string]string
	file  file
}

// Read prepares the settings: flags holds those given on the command line, by the name of their variable;
// env is an environment as os.Environ returns it. It reads the file that TOCSIN_CONFIG names.
func Read(flags map[string]string, env []string) (*Settings, error) {
	s := &Settings{flags: flags, env: map[string]string{}}
	for _, e := range env {
		if name, text, _ := strings.Cut(e, "="); text != "" {
			s.env[name] = text
		}
	}
	path, ok := s.lookup("TOCSIN_CONFIG")
	if !ok {
		return s, nil
	}
	text, err := os.ReadFile(path.text)
	if err != nil {
		return nil, path.wrong("can't be read: %v", err)
	}
	s.file, err = parseFile(path.text, text)
	return s, err
}

// Log returns how logs are written: "text" or "json".
func (s *Settings) Log() (string, error) {
	r := reader{s: s}
	return r.get("TOCSIN_LOG", "text", isLog), r.err()
}

// TemplateDir returns the directory that goes before the built-in templates, "" = none.
func (s *Settings) TemplateDir() (string, error) {
	r := reader{s: s}
	return r.get("TOCSIN_TEMPLATE_DIR", "", isDirectory), r.err()
}

// Database returns DATABASE_URL, all that migrate needs.
func (s *Settings) Database() (string, error) {
	r := reader{s: s}
	return r.require("DATABASE_URL", isDatabaseURL, "postgres://tocsin@127.0.0.1/tocsin"), r.err()
}

// Serve returns the settings of the command serve. The error joins all that is wrong with them.
func (s *Settings) Serve() (Serve, error) {
	r := reader{s: s}
	c := Serve{
		DatabaseURL: r.require("DATABASE_URL", isDatabaseURL, "postgres://tocsin@127.0.0.1/tocsin"),
		RedisURL:    r.require("REDIS_URL", isRedisURL, "redis://127.0.0.1:6379"),
		Listen:      r.get("TOCSIN_LISTEN", DefaultListen, isListen),
		Tokens:      list(r.get("TOCSIN_TOKEN", "", isTokens)),
		Mail:        r.mail(),
		Retention:   r.retention(),
	}
	c.Holds = r.holds(c.Mail.Zone)
	return c, r.err()
}

// Work returns the settings of the command work. The error joins all that is wrong with them.
func (s *Settings) Work() (Work, error) {
	r := reader{s: s}
	c := Work{
		DatabaseURL:  r.require("DATABASE_URL", isDatabaseURL, "postgres://tocsin@127.0.0.1/tocsin"),
		RedisURL:     r.require("REDIS_URL", isRedisURL, "redis://127.0.0.1:6379"),
		Listen:       r.get("TOCSIN_WORK_LISTEN", "", isListen),
		Tokens:       list(r.get("TOCSIN_TOKEN", "", isTokens)),
		MaxOpenMarks: r.maxOpenMarks(),
		Drain:        r.duration("TOCSIN_DRAIN", DefaultDrain, 0),
		Lease:        r.duration("TOCSIN_LEASE", DefaultLease, 3*time.Second),
		FirstRetry:   r.duration("TOCSIN_FIRST_RETRY", DefaultFirstRetry, time.Second),
		MarksDir:     r.get("TOCSIN_MARKS_DIR", "", isDirectory),
		Mail:         r.mail(),
		Limits:       s.file.limits,
	}
	c.Holds = r.holds(c.Mail.Zone)
	if !s.hasRelays() {
		r.add(missing("TOCSIN_SMTP_URL", "smtp://user:password@smtp.example.net:587, or relays in the file that TOCSIN_CONFIG names"))
	}
	if _, ok := s.lookup("TOCSIN_FROM"); !ok {
		r.add(missing("TOCSIN_FROM", `"Example Status <status@example.net>"`))
	}
	return c, r.err()
}

// Client returns the settings of the commands that speak to the API.
func (s *Settings) Client() (Client, error) {
	r := reader{s: s}
	c := Client{URL: strings.TrimRight(r.get("TOCSIN_URL", DefaultURL, isWebURL), "/")}
	if tokens := list(r.get("TOCSIN_TOKEN", "", isTokens)); len(tokens) > 0 {
		c.Token = tokens[0]
	}
	return c, r.err()
}

func (s *Settings) hasRelays() bool {
	return s.env["TOCSIN_SMTP_URL"] != "" || s.env["TOCSIN_SMTP_URL_FILE"] != "" || len(s.file.relays) > 0
}

// value is the text of a setting and where it came from.
type value struct {
	name, text, origin string
	secret             bool // text must not be shown
}

func (v value) wrong(format string, args ...any) error {
	return notice.Invalid(fmt.Sprintf("%s (%s)", v.name, v.origin), format, args...)
}

func missing(name, example string) error {
	return notice.Invalid(name, "is not set; it is something like %s", example)
}

var secrets = []string{"DATABASE_URL", "REDIS_URL", "TOCSIN_SMTP_URL", "TOCSIN_TOKEN"}

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

// readSecret returns what a file holds but for the newline at its end.
func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", errors.New("is empty")
	}
	return text, nil
}

func flagName(name string) string {
	return strings.ReplaceAll(fileKey(name), "_", "-")
}

func fileKey(name string) string {
	return strings.ToLower(strings.TrimPrefix(name, "TOCSIN_"))
}

// list splits a comma-separated setting, nil where it holds nothing.
func list(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
