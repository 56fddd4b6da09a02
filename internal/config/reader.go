package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// reader takes settings one after the other and keeps what is wrong with them, so that an operator learns
// of all mistakes at once.
type reader struct {
	s    *Settings
	errs []error
}

func (r *reader) add(err error) { r.errs = append(r.errs, err) }
func (r *reader) err() error    { return errors.Join(r.errs...) }

// get returns a setting that satisfies check, or its default. What check says completes "the setting …".
func (r *reader) get(name, byDefault string, check func(string) error) string {
	v, ok, err := r.find(name)
	if err != nil {
		r.add(err)
		return byDefault
	}
	if !ok {
		return byDefault
	}
	if err := check(v.text); err != nil {
		if v.secret {
			r.add(v.wrong("%v", err))
		} else {
			r.add(v.wrong("%q %v", v.text, err))
		}
		return byDefault
	}
	return v.text
}

func (r *reader) find(name string) (value, bool, error) {
	if slices.Contains(secrets, name) {
		return r.s.secret(name)
	}
	v, ok := r.s.lookup(name)
	return v, ok, nil
}

func (r *reader) require(name string, check func(string) error, example string) string {
	before := len(r.errs)
	text := r.get(name, "", check)
	if text == "" && len(r.errs) == before {
		r.add(missing(name, example))
	}
	return text
}

func (r *reader) mail() Mail {
	m := Mail{
		From:        r.get("TOCSIN_FROM", "", isAddress),
		ReplyTo:     r.get("TOCSIN_REPLY_TO", "", isAddress),
		Zone:        r.get("TOCSIN_ZONE", "", isZone),
		TemplateDir: r.get("TOCSIN_TEMPLATE_DIR", "", isDirectory),
		PublicURL:   strings.TrimRight(r.get("TOCSIN_PUBLIC_URL", "", isWebURL), "/"),
	}
	m.Relays = r.relays()
	return m
}

// relays returns those of TOCSIN_SMTP_URL, else those of the file: a source replaces the list as a whole.
func (r *reader) relays() []Relay {
	v, ok, err := r.s.secret("TOCSIN_SMTP_URL")
	if err != nil {
		r.add(err)
		return nil
	}
	if !ok {
		relays, err := r.s.file.readRelays()
		if err != nil {
			r.add(err)
		}
		return relays
	}
	var relays []Relay
	for i, u := range list(v.text) {
		if err := isSMTPURL(u); err != nil {
			r.add(v.wrong("relay %d %v", i+1, err))
			continue
		}
		relays = append(relays, Relay{URL: u, Connections: DefaultConnections, Origin: fmt.Sprintf("%s (%s), relay %d", v.name, v.origin, i+1)})
	}
	if len(relays) == 0 && len(r.errs) == 0 {
		r.add(v.wrong("names no relay; it is something like smtp://user:password@smtp.example.net:587"))
	}
	return relays
}

func (r *reader) maxOpenMarks() int {
	const most = 10_000
	n := DefaultMaxOpenMarks
	r.get("TOCSIN_MAX_OPEN_MARKS", "", func(text string) error {
		k, err := strconv.Atoi(text)
		if err != nil || k < 1 || k > most {
			return fmt.Errorf("is not a whole number from 1 to %d", most)
		}
		n = k
		return nil
	})
	return n
}

// duration returns a length of time of at least so much.
func (r *reader) duration(name string, byDefault, least time.Duration) time.Duration {
	d := byDefault
	r.get(name, "", func(text string) error {
		k, err := time.ParseDuration(text)
		if err != nil || k < least {
			return fmt.Errorf("is not a length of time such as %s, of %s or more", byDefault, least)
		}
		d = k
		return nil
	})
	return d
}

// leastRetention is above every time that the protocol and its operators need the rows for.
const leastRetention = 7

// retention returns how long the rows of finished notices are kept, in whole days; 0 for ever.
func (r *reader) retention() (keep time.Duration) {
	r.get("TOCSIN_RETENTION", "", func(text string) error {
		days, err := strconv.Atoi(strings.TrimSuffix(text, "d"))
		if err != nil || !strings.HasSuffix(text, "d") || days < leastRetention || days > 100*366 {
			return fmt.Errorf("is not a number of days such as 400d, of %dd or more", leastRetention)
		}
		keep = time.Duration(days) * 24 * time.Hour
		return nil
	})
	return keep
}

func isLog(text string) error {
	if text != "text" && text != "json" {
		return errors.New("is neither text nor json")
	}
	return nil
}

func isListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("is not host:port such as 127.0.0.1:8080")
	}
	return nil
}

func isWebURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("is not a URL such as https://tocsin.example.net")
	}
	return nil
}

// The checks of secrets never repeat the text, nor what net/url says of it: both may hold a password.

const percent = "; special characters of a password are percent-encoded"

func isDatabaseURL(text string) error {
	if strings.Contains(text, "=") && !strings.Contains(text, "://") {
		return nil // libpq's keyword=value form
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("is not a URL such as postgres://tocsin:password@db.example.net/tocsin" + percent)
	}
	return nil
}

func isRedisURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		return errors.New("is not a URL such as redis://:password@redis.example.net:6379/0" + percent)
	}
	return nil
}

func isSMTPURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return errors.New("is not a URL such as smtp://user:password@smtp.example.net:587 or smtps://smtp.example.net" + percent)
	}
	return nil
}

func isTokens(text string) error {
	tokens := list(text)
	if len(tokens) == 0 || len(tokens) > 2 {
		return fmt.Errorf("holds %d tokens; it is one, or two separated by a comma while rotating", len(tokens))
	}
	for _, t := range tokens {
		if strings.ContainsFunc(t, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return errors.New("has a character that a bearer token can't have: printable ASCII without spaces is right")
		}
	}
	return nil
}

func isAddress(text string) error {
	if _, err := mail.ParseAddress(text); err != nil {
		return errors.New("is not one address such as Example Status <status@example.net>")
	}
	return nil
}

func isZone(text string) error {
	if _, err := notice.LoadZone(text); err != nil || text == "" {
		return errors.New("is not an IANA time zone such as Europe/Amsterdam")
	}
	return nil
}

func isDirectory(text string) error {
	if info, err := os.Stat(text); err != nil || !info.IsDir() {
		return errors.New("is not a directory that can be read")
	}
	return nil
}
