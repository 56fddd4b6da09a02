package config

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/yaml"
)

// saslMechanisms are the ways to log in to a relay that a setting may name.
var saslMechanisms = []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN", "XOAUTH2"}

func (f *file) relay(v yaml.Value) (Relay, error) {
	r := Relay{Connections: defaultConnections, Origin: v.Place()}
	passwordFile := ""
	err := v.Fields("field of a relay", "a relay such as {name: main, url: smtp://smtp.example.net}", f.relayFields(&r, &passwordFile))
	token := r.TokenFile != "" || len(r.Token) > 0
	switch {
	case err != nil:
		return r, err
	case r.URL == "":
		return r, v.Wrong("the relay has no url; it is something like smtp://smtp.example.net:587")
	case r.TokenFile != "" && len(r.Token) > 0:
		return r, v.Wrong("the relay has a token_file and a token_command; keep one of the two")
	case token && passwordFile != "":
		return r, v.Wrong("the relay has a password_file and an access token; keep one of the two")
	case slices.Contains(r.Auth, "XOAUTH2") && !token:
		return r, v.Wrong("auth: XOAUTH2 wants a token_file, or a token_command that prints an access token")
	case token && len(r.Auth) > 0 && !slices.Contains(r.Auth, "XOAUTH2"):
		return r, v.Wrong("auth: an access token is for XOAUTH2 alone")
	case passwordFile == "":
		return r, nil
	}
	if r.Password, err = readSecret(f.beside(passwordFile)); err != nil {
		return r, v.Wrong("password_file %s %v", passwordFile, err)
	}
	return r, nil
}

// returnPaths are those of the relays. Their other fields are the business of the commands that send.
func (f *file) returnPaths() (paths []string) {
	for _, v := range f.relays {
		var r Relay
		_ = v.Fields("field of a relay", "", f.relayFields(&r, new(string)))
		paths = append(paths, r.ReturnPath)
	}
	return paths
}

// relayFields are the fields of a relay.
func (f *file) relayFields(r *Relay, passwordFile *string) yaml.Fields {
	return yaml.Fields{
		"name":          yaml.Text(&r.Name),
		"password_file": yaml.Text(passwordFile),
		"url":           checked(&r.URL, isSMTPURL),
		"connections":   connections(&r.Connections),
		"rate":          rate(&r.Rate),
		"quota":         quota(&r.Quota),
		"family":        checked(&r.Family, isFamily),
		"hello":         checked(&r.Hello, isHello),
		"return_path":   checked(&r.ReturnPath, isReturnPath),
		"auth":          mechanisms(&r.Auth),
		"token_command": words(&r.Token),
		"token_file": func(v yaml.Value) error {
			path, err := v.Text()
			if err != nil || path == "" {
				return err
			}
			r.TokenFile = f.beside(path)
			if _, err := os.ReadFile(r.TokenFile); err != nil {
				return v.Wrong("token_file %s can't be read: %v", path, err)
			}
			return nil
		},
	}
}

// mostQuota is the highest number of mails a day that a quota may name.
const mostQuota = 999_999_999

func quota(to *int) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil {
			return err
		}
		number, unit, given := strings.Cut(strings.ReplaceAll(text, " ", ""), "/")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > mostQuota || given && unit != "d" {
			return v.Wrong("quota: %q is not a number of mails a day, such as 50000/d", text)
		}
		*to = n
		return nil
	}
}

// checked returns a reader that keeps a text that check has nothing against. Its error completes "the field …".
func checked(to *string, check func(string) error) func(yaml.Value) error {
	return func(v yaml.Value) (err error) {
		if *to, err = v.Text(); err == nil && *to != "" {
			if err := check(*to); err != nil {
				return v.Wrong("%s: %q %v", v.Name(), *to, err)
			}
		}
		return err
	}
}

// words returns a reader that keeps a list of texts, or one text that is split at its blanks and commas.
func words(to *[]string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		if !v.Plain() {
			return yaml.Texts(to, "[PLAIN, LOGIN]")(v)
		}
		text, err := v.Text()
		*to = strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' })
		return err
	}
}

func mechanisms(to *[]string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		if err := words(to)(v); err != nil {
			return err
		}
		for i, name := range *to {
			(*to)[i] = strings.ToUpper(name)
			if !slices.Contains(saslMechanisms, (*to)[i]) {
				return v.Wrong("auth: %q is none of %s", name, strings.Join(saslMechanisms, ", "))
			}
		}
		return nil
	}
}

func isFamily(text string) error {
	if text != "ipv4" && text != "ipv6" {
		return errors.New("is neither ipv4 nor ipv6; without a family both are tried")
	}
	return nil
}
