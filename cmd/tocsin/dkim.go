package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"tocsin/internal/audience"
	"tocsin/internal/config"
	"tocsin/internal/dkim"
	"tocsin/internal/notice"
)

type dkimCmd struct {
	New  dkimNewCmd  `cmd:"" help:"Make a key to sign mails with, and print its record for the DNS."`
	Show dkimShowCmd `cmd:"" help:"Print the records of the keys that are set."`
}

type dkimNewCmd struct {
	File     string `arg:"" help:"Where the private key is written; nothing is overwritten."`
	Selector string `required:"" placeholder:"NAME" help:"Under which the DNS has the key, such as tocsin2026; a new one for each key."`
	Domain   string `placeholder:"DOMAIN" help:"That signs (the domain of TOCSIN_FROM)."`
	Type     string `enum:"rsa,ed25519" default:"rsa" help:"rsa, which every receiver verifies, or ed25519, which costs less."`
	JSON     bool   `name:"json" help:"Print a JSON document."`
}

// Run writes the key before it prints the record: a record without its key would be of no use.
func (c *dkimNewCmd) Run(a *app) error {
	set, err := a.settings.Signing()
	if err != nil {
		return usage(err)
	}
	domain, err := signingDomain(c.Domain, set.From)
	if err != nil {
		return usage(err)
	}
	text, err := dkim.New(c.Type)
	if err != nil {
		return err
	}
	key, err := dkim.Read(text, domain, c.Selector)
	if err != nil {
		return usage(fmt.Errorf("the key %w", err))
	}
	if err := writeKey(c.File, text); err != nil {
		return err
	}
	if c.JSON {
		return document(a.stdout, recordOf(key, c.File))
	}
	path := c.File
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	sentence(a.stderr, "The private key is in %s. Publish this record, have tocsin check compare it, and set in the file of settings:", shown(path))
	fmt.Fprintf(a.stderr, "dkim:\n  - {selector: %s, key_file: %s}\n", c.Selector, shown(path))
	_, err = fmt.Fprint(a.stdout, key.Zone())
	return err
}

// writeKey writes a private key into a new file that only its owner can read.
func writeKey(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usage(fmt.Errorf("%s is there already, and may be a key that signs: name another file", path))
	}
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the key: %w", err), os.Remove(path))
	}
	return nil
}

type dkimShowCmd struct {
	JSON bool `name:"json" help:"Print a JSON document."`
}

func (c *dkimShowCmd) Run(a *app) error {
	set, err := a.settings.Signing()
	if err != nil {
		return usage(err)
	}
	keys, err := signingKeys(set)
	if err != nil {
		return usage(err)
	}
	if c.JSON {
		records := []dkimRecord{}
		for i, k := range keys {
			records = append(records, recordOf(k, set.DKIM[i].KeyFile))
		}
		return document(a.stdout, records)
	}
	if len(keys) == 0 {
		sentence(a.stderr, "No key is set: mails leave without a signature of ours. tocsin dkim new makes a key.")
	}
	for _, k := range keys {
		if _, err := fmt.Fprint(a.stdout, k.Zone()); err != nil {
			return err
		}
	}
	return nil
}

// dkimRecord is a TXT record that the DNS is to have.
type dkimRecord struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	KeyFile string `json:"key_file"`
}

func recordOf(k *dkim.Key, file string) dkimRecord {
	return dkimRecord{Name: k.Name(), Value: k.Record(), KeyFile: file}
}

// signingKeys reads the keys of the settings.
func signingKeys(set config.Signing) (keys dkim.Keys, err error) {
	for _, s := range set.DKIM {
		domain, err := signingDomain(s.Domain, set.From)
		if err != nil {
			return nil, notice.Invalid(s.Origin, "%v", err)
		}
		text, err := os.ReadFile(s.KeyFile)
		if err != nil {
			return nil, notice.Invalid(s.Origin, "key_file can't be read: %v", err)
		}
		k, err := dkim.Read(text, domain, s.Selector)
		if err != nil {
			return nil, notice.Invalid(s.Origin, "the key in %s %v", s.KeyFile, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// signing returns the function that signs mails, nil where the settings name no key.
func signing(set config.Mail) (func([]byte, time.Time) ([]byte, error), error) {
	keys, err := signingKeys(config.Signing{From: set.From, DKIM: set.DKIM})
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return keys.Sign, nil
}

// signingDomain returns the domain that signs: the one that was given, else that of From.
func signingDomain(given, from string) (string, error) {
	domain, err := idna.Lookup.ToASCII(given)
	if err != nil {
		return "", fmt.Errorf("%q is not a domain", given)
	}
	if domain = cmp.Or(domain, fromDomain(from)); domain == "" {
		return "", errors.New("name the domain that signs, or set TOCSIN_FROM")
	}
	return domain, nil
}

// fromDomain returns the domain of an RFC 5322 mailbox as an A-label, "" if it has none.
func fromDomain(from string) string {
	mailbox, err := mail.ParseAddress(from)
	if err != nil {
		return ""
	}
	a, err := audience.ParseAddress(mailbox.Address)
	if err != nil {
		return ""
	}
	return a.Domain
}

// checkKeys compares the keys of the settings with the DNS, and their domains with the sender's.
func checkKeys(ctx context.Context, set config.Signing, dns *net.Resolver) (f notice.Findings) {
	keys, err := signingKeys(set)
	if err != nil {
		return wrongSetting(err)
	}
	from := fromDomain(set.From)
	for _, k := range keys {
		f = append(f, k.Check(ctx, dns)...)
		if from != k.Domain && !strings.HasSuffix(from, "."+k.Domain) && !strings.HasSuffix(k.Domain, "."+from) {
			f.Warning("sign for the domain of TOCSIN_FROM", "the key %s is for %s, and the sender is at %s: it does not count for DMARC", k.Selector, k.Domain, from)
		}
	}
	return f
}
