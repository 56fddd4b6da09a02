package config

import (
	"golang.org/x/net/idna"

	"tocsin/internal/yaml"
)

// DKIM is a key that mails are signed with.
type DKIM struct {
	Selector string
	KeyFile  string // holds the private key as PEM
	Domain   string // A-label, lower case; "" = that of From
	Origin   string // where it was set: for error messages
}

// mostKeys is how many signatures a mail has at most: one for receivers that know Ed25519, and one for the others.
const mostKeys = 2

func (f *file) keepDKIM(v yaml.Value) error {
	return v.List("[{selector: tocsin2026, key_file: /run/secrets/dkim.pem}]", func(item yaml.Value) error {
		k := DKIM{Origin: item.Place()}
		err := item.Fields("field of a DKIM key", "a key such as {selector: tocsin2026, key_file: /run/secrets/dkim.pem}", f.dkimFields(&k))
		switch {
		case err != nil:
			return err
		case k.Selector == "":
			return item.Wrong("the key has no selector; it is the name under which the DNS has it, such as tocsin2026")
		case k.KeyFile == "":
			return item.Wrong("the key has no key_file; tocsin dkim new makes one")
		case len(f.dkim) == mostKeys:
			return item.Wrong("mails are signed with %d keys at most: one Ed25519 and one RSA", mostKeys)
		}
		for _, other := range f.dkim {
			if other.Selector == k.Selector && other.Domain == k.Domain {
				return item.Wrong("the selector %s is there already: each key has its own", k.Selector)
			}
		}
		f.dkim = append(f.dkim, k)
		return nil
	})
}

// dkimFields are the fields of a key.
func (f *file) dkimFields(k *DKIM) yaml.Fields {
	return yaml.Fields{
		"selector": yaml.Text(&k.Selector),
		"key_file": func(v yaml.Value) error {
			path, err := v.Text()
			if err == nil && path != "" {
				k.KeyFile = f.beside(path)
			}
			return err
		},
		"domain": func(v yaml.Value) error {
			text, err := v.Text()
			if err != nil {
				return err
			}
			if k.Domain, err = idna.Lookup.ToASCII(text); err != nil || k.Domain == "" {
				return v.Wrong("domain: %q is not a domain such as example.net", text)
			}
			return nil
		},
	}
}
