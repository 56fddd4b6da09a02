package dkim

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// Check looks up the record of a key, and reports whether receivers will find there the key that signs.
func (k *Key) Check(ctx context.Context, dns *net.Resolver) (f notice.Findings) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	k.checkLength(&f)
	texts, err := dns.LookupTXT(ctx, k.Name())
	missing, ok := errors.AsType[*net.DNSError](err)
	texts = slices.DeleteFunc(texts, func(text string) bool { return tags(text)["p"] == "" && !strings.Contains(text, "p=") })
	const publish = "publish the TXT record that `tocsin dkim show` prints, or sign with the key that is published"
	switch {
	case err != nil && (!ok || !missing.IsNotFound):
		f.Warning("see whether this machine's name servers work, or look it up elsewhere", "the DNS does not answer: the key at %s is not known", k.Name())
	case len(texts) == 0:
		f.Error(publish, "%s has no key: receivers take the signature for a broken one", k.Name())
	case len(texts) > 1:
		f.Error("keep the one of the key that signs", "%s has %d keys: receivers may take any (RFC 6376 §3.6.2.2)", k.Name(), len(texts))
	default:
		k.compare(&f, tags(texts[0]), publish)
	}
	return f
}

// compare compares a record with the key.
func (k *Key) compare(f *notice.Findings, record map[string]string, publish string) {
	kind := record["k"]
	if kind == "" {
		kind = rsaName
	}
	there, err := base64.StdEncoding.DecodeString(record["p"])
	hashes, limited := record["h"]
	services, narrow := record["s"]
	switch {
	case record["p"] == "":
		f.Error(publish, "the key at %s was revoked: its p= is empty", k.Name())
	case err != nil:
		f.Error(publish, "the key at %s can't be read: its p= is not base64", k.Name())
	case !strings.EqualFold(kind, k.algorithm) || !bytes.Equal(there, k.public()):
		f.Error(publish, "the key at %s is not the one that signs: receivers take the signature for a broken one", k.Name())
	case limited && !listed(hashes, "sha256"):
		f.Error("take h= out of the record", "the key at %s does not allow sha256", k.Name())
	case narrow && !listed(services, "email") && !listed(services, "*"):
		f.Error("take s= out of the record", "the key at %s is not for mail", k.Name())
	case listed(record["t"], "y"):
		f.Warning("take t=y out of the record when the signatures verify", "the key at %s says that it is a test: receivers may ignore its signatures", k.Name())
	default:
		f.OK("the key at %s is the one that signs (%s)", k.Name(), k.algorithm)
	}
}

func (k *Key) checkLength(f *notice.Findings) {
	if key, ok := k.signer.Public().(*rsa.PublicKey); ok && key.N.BitLen() < rsaBits {
		f.Warning("replace it by one of tocsin dkim new", "the key %s has %d bits; receivers want %d", k.Selector, key.N.BitLen(), rsaBits)
	}
}

// tags reads a tag list (RFC 6376 §3.2). Blanks in a value don't count.
func tags(text string) map[string]string {
	found := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			found[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
		}
	}
	return found
}

// listed reports whether a list with colons holds a word.
func listed(list, word string) bool { return slices.Contains(strings.Split(list, ":"), word) }
