package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// wrong is a text that no setting takes.
const wrong = "\x01"

// commands are the structs that commands are filled with, as pointers.
func commands() []any {
	return []any{&Serve{}, &Work{}, &Bounces{}, &Client{}, &Migrate{}, &Templates{}, &Sink{}}
}

// right returns a text that a setting takes.
func right(t *testing.T, s Setting) string {
	t.Helper()
	switch {
	case s.path:
		return t.TempDir()
	case s.Name == "TOCSIN_SENDGRID_KEY":
		return publicKey(t)
	case s.Default+s.Example == "":
		return "s3cret"
	}
	return s.Default + s.Example
}

// publicKey is one as SendGrid shows it.
func publicKey(t *testing.T) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// complaint returns the error about one setting of the commands that use it, "" if it has none.
func complaint(t *testing.T, s Setting, flags map[string]string, env []string, file string) string {
	t.Helper()
	set := settings(t, flags, env, file)
	said := ""
	for _, c := range commands() {
		for _, used := range Used(reflect.ValueOf(c).Elem().Interface()) {
			if used.ID() != s.ID() {
				continue
			}
			if err := set.fill(c); err != nil {
				said += fmt.Sprintf("%T: %v\n", c, err)
			}
		}
	}
	return said
}

// TestEverySettingIsReadFromEachSource hides a wrong value behind a right one of a source that goes before. Then it
// lets the wrong one be seen.
func TestEverySettingIsReadFromEachSource(t *testing.T) {
	t.Parallel()
	for _, s := range table {
		if s.Name == "" || s.Name == "TOCSIN_CONFIG" {
			continue // the tests of the file have these
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			ok := right(t, s)
			type source struct {
				name  string
				flags map[string]string
				env   []string
				file  string
			}
			var bad, good []source // the first goes before the others
			if s.Flag() != "" {
				bad = append(bad, source{name: "(flag --" + s.Flag() + ")", flags: map[string]string{s.Name: wrong}})
				good = append(good, source{flags: map[string]string{s.Name: ok}})
			}
			bad = append(bad, source{name: "(environment)", env: []string{s.Name + "=" + wrong}})
			good = append(good, source{env: []string{s.Name + "=" + ok}})
			if key := s.FileKey(); key != "" && !s.Secret {
				bad = append(bad, source{name: "tocsin.yaml:1)", file: key + `: "\x01"`})
				good = append(good, source{file: fmt.Sprintf("%s: %q", key, ok)})
			}
			if s.Secret {
				path := write(t, "secret", wrong)
				bad = append(bad, source{name: "(file " + path + ", named by " + s.Name + "_FILE)", env: []string{s.Name + "_FILE=" + path}})
			}
			for i, b := range bad {
				got := complaint(t, s, b.flags, b.env, b.file)
				if !strings.Contains(got, b.name) {
					t.Errorf("a wrong value of %s gets %q", b.name, got)
				}
				if s.Secret && strings.Contains(got, wrong) {
					t.Errorf("a secret is shown: %q", got)
				}
				if i == 0 || s.Secret {
					continue
				}
				before := good[i-1]
				if got := complaint(t, s, before.flags, append(b.env, before.env...), before.file+b.file); got != "" {
					t.Errorf("%s is looked at though another source goes before it: %s", b.name, got)
				}
			}
			for _, g := range good {
				if got := complaint(t, s, g.flags, g.env, g.file); got != "" {
					t.Errorf("the right value %q of %v is refused: %s", ok, g, got)
				}
			}
		})
	}
}

func TestEverySettingIsUsedAndDescribed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{"TOCSIN_CONFIG": true}
	for _, c := range commands() {
		for _, s := range Used(reflect.ValueOf(c).Elem().Interface()) {
			used[s.ID()] = true
		}
	}
	ids, keys := map[string]bool{}, map[string]bool{}
	for _, s := range table {
		if !used[s.ID()] {
			t.Errorf("no command uses %s", s.ID())
		}
		if ids[s.ID()] || s.FileKey() != "" && keys[s.FileKey()] {
			t.Errorf("%s stands in the table twice", s.ID())
		}
		ids[s.ID()], keys[s.FileKey()] = true, true
		if !strings.HasSuffix(s.Doc, ".") || s.Default+s.Example+s.Sample+s.Without == "" || s.Flag() != "" && s.Value == "" {
			t.Errorf("%s is not described: %+v", s.ID(), s)
		}
		if s.Default != "" && (s.Example != "" || s.Without != "") {
			t.Errorf("%s has a default, and says how it would be without one", s.ID())
		}
	}
}
