package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"tocsin/internal/notice"
)

// reader takes settings one after the other and keeps the errors, so that an operator learns
// of all mistakes at once.
type reader struct {
	s    *Settings
	errs []error
}

// fill fills the fields of a struct that are tagged with a setting. Required are the settings that must be set.
func (s *Settings) fill(to any, required ...string) error {
	r := reader{s: s}
	fields(reflect.ValueOf(to).Elem(), func(field reflect.Value, set Setting) {
		if v := r.value(set); v != nil {
			field.Set(reflect.ValueOf(v))
		}
	})
	for _, id := range required {
		if set := Named(id); !s.given(set) {
			r.add(missing(set))
		}
	}
	return errors.Join(r.errs...)
}

func (r *reader) add(err error) { r.errs = append(r.errs, err) }

// value returns the value of a setting, else its default; nil where it has none, or is wrong.
func (r *reader) value(set Setting) any {
	if set.read != nil {
		return set.read(r)
	}
	v, ok, err := r.s.find(set)
	switch {
	case err != nil:
		r.add(err)
		return nil
	case !ok && set.Default == "":
		return nil
	case !ok:
		v = value{name: set.ID(), text: set.Default, origin: "default"}
	}
	parsed, err := set.parse(v.text)
	switch {
	case err == nil:
		return parsed
	case set.Secret:
		r.add(v.wrong("%v", err))
	default:
		r.add(v.wrong("%q %v", v.text, err))
	}
	return nil
}

// find finds a setting that is one text in the first source that has it.
func (s *Settings) find(set Setting) (value, bool, error) {
	if set.Secret {
		return s.secret(set.Name)
	}
	v, ok := s.lookup(set.Name)
	return v, ok, nil
}

// given reports whether some source has the setting, be it right or wrong.
func (s *Settings) given(set Setting) bool {
	_, ok, err := s.find(set)
	return ok || err != nil || set.Key == "relays" && len(s.file.relays) > 0
}

func missing(set Setting) error {
	example := set.Example
	if strings.Contains(example, " ") {
		example = fmt.Sprintf("%q", example)
	}
	if set.Key != "" {
		example += fmt.Sprintf(", or %s in the file that TOCSIN_CONFIG names", set.Key)
	}
	return notice.Invalid(set.ID(), "is not set; it is something like %s", example)
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
	urls := list(v.text)
	if len(urls) == 0 {
		r.add(v.wrong("names no relay; it is something like smtp://user:password@smtp.example.net:587"))
	}
	var relays []Relay
	for i, u := range urls {
		if i+1 < len(urls) && !strings.Contains(urls[i+1], "://") {
			r.add(v.wrong("relay %d is cut at a comma, which parts relays: write one in a password as %%2C", i+1))
			return nil
		}
		if err := isSMTPURL(u); err != nil {
			r.add(v.wrong("relay %d %v", i+1, err))
			continue
		}
		relays = append(relays, Relay{URL: u, Connections: defaultConnections, Origin: fmt.Sprintf("%s (%s), relay %d", v.name, v.origin, i+1)})
	}
	return relays
}
