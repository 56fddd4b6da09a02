package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The names of the algorithms, as k= has them.
const (
	rsaName     = "rsa"
	ed25519Name = "ed25519"
)

// Kinds are the kinds of keys that New makes.
var Kinds = []string{ed25519Name, rsaName}

// Key signs for a domain. Its public part is in the DNS at Selector._domainkey.Domain.
type Key struct {
	Domain, Selector string

	algorithm string
	signer    crypto.Signer
}

// rsaBits is the length of new keys. Longer ones don't fit the DNS answers that some receivers take, and many refuse
// keys below 1024 bits (RFC 8301).
const (
	rsaBits  = 2048
	leastRSA = 1024
)

// New makes a private key of a kind, as PEM (PKCS #8).
func New(kind string) ([]byte, error) {
	var key any
	var err error
	switch kind {
	case rsaName:
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case ed25519Name:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("there is no kind of key %q: it is rsa or ed25519", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

var (
	selectorPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
	domainPattern   = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

// CheckSelector returns an error that completes "the selector …", if it is none (RFC 6376 §3.1).
func CheckSelector(selector string) error {
	if len(selector) > 100 || !selectorPattern.MatchString(selector) {
		return errors.New("is not a name of letters, digits and hyphens such as tocsin2026")
	}
	return nil
}

// Read reads a private key as PEM, in PKCS #8 or, for RSA, PKCS #1: those that openssl and opendkim-genkey write. domain is
// an A-label. Its errors complete "the key …".
func Read(text []byte, domain, selector string) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("is not PEM: it begins with -----BEGIN PRIVATE KEY-----; tocsin dkim new makes one")
	}
	if err := CheckSelector(selector); err != nil {
		return nil, fmt.Errorf("has a selector that %w", err)
	}
	if len(domain) > 253 || !domainPattern.MatchString(domain) {
		return nil, fmt.Errorf("is for %q, which is not a domain", domain)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errors.New("is not a private key in PKCS #8, without a passphrase: openssl pkcs8 -topk8 -nocrypt makes one of it")
	}
	k := &Key{Domain: domain, Selector: selector}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < leastRSA {
			return nil, fmt.Errorf("has %d bits, and receivers want %d at least (RFC 8301)", bits, leastRSA)
		}
		k.algorithm, k.signer = rsaName, key
	case ed25519.PrivateKey:
		k.algorithm, k.signer = ed25519Name, key
	default:
		return nil, errors.New("is neither RSA nor Ed25519")
	}
	return k, nil
}

// Name returns the name of the key's record in the DNS.
func (k *Key) Name() string { return k.Selector + "._domainkey." + k.Domain }

// Record returns the key's TXT record (RFC 6376 §3.6.1, RFC 8463 §4).
func (k *Key) Record() string {
	return "v=DKIM1; k=" + k.algorithm + "; p=" + base64.StdEncoding.EncodeToString(k.public())
}

// Zone returns the record as a line of a zone file. A text of the DNS has 255 bytes at most, and a record may have several.
func (k *Key) Zone() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s. IN TXT (", k.Name())
	for text := k.Record(); text != ""; {
		n := min(len(text), 200)
		fmt.Fprintf(&out, "\n\t%q", text[:n])
		text = text[n:]
	}
	return out.String() + " )\n"
}

// public returns the public key as p= has it.
func (k *Key) public() []byte {
	if key, ok := k.signer.Public().(ed25519.PublicKey); ok {
		return key
	}
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		panic(err) // an RSA key always has one
	}
	return der
}
