package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificates are those of a relay on the loopback, signed by an authority of their own.
type certificates struct {
	valid, expired tls.Certificate
	authority      string // a file for SSL_CERT_FILE
}

func newCertificates(t testing.TB) (c certificates) {
	t.Helper()
	now := time.Now()
	sign := func(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (tls.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parentKey == nil {
			parentKey = key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, key
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(48 * time.Hour)}
	authority, key := sign(root, root, nil)
	leaf := func(serial int64, until time.Time) tls.Certificate {
		signed, _ := sign(&x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "relay"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"relay.test"}, NotBefore: now.Add(-24 * time.Hour), NotAfter: until}, root, key)
		return signed
	}
	c.valid, c.expired = leaf(2, now.Add(24*time.Hour)), leaf(3, now.Add(-time.Hour))
	c.authority = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate[0]})
	if err := os.WriteFile(c.authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}
