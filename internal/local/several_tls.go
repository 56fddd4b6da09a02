package local

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"
)

// secured has the files with which servers speak TLS, and the settings of their clients; nil: they speak none.
type secured struct {
	authority string // file
	client    *tls.Config
}

const certificateFile, keyFile = "redis.crt", "redis.key"

// secure writes the certificate for the servers of a home.
func secure(h *home, o Several) (*secured, error) {
	trusted, err := os.ReadFile(o.Authority)
	if err != nil {
		return nil, fmt.Errorf("read the authority of TLS: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(trusted) {
		return nil, errors.New("the file of the authority of TLS has no certificate")
	}
	key, err := x509.MarshalPKCS8PrivateKey(o.TLS.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("write the key of TLS: %w", err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	const copied = "authority.crt" // servers may run as another user
	err = errors.Join(h.write(certificateFile, block("CERTIFICATE", o.TLS.Certificate[0])), h.write(keyFile, block("PRIVATE KEY", key)), h.write(copied, string(trusted)))
	return &secured{authority: copied, client: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}, err
}

// listen returns the lines that have a server listen at a port, with TLS alone where there is a certificate.
func (s *secured) listen(port int) string {
	if s == nil {
		return fmt.Sprintf("port %d\n", port)
	}
	return fmt.Sprintf("port 0\ntls-port %d\ntls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\ntls-auth-clients no\ntls-replication yes\ntls-cluster yes\n",
		port, certificateFile, keyFile, s.authority)
}

func (r *Redises) scheme() string {
	if r.secure == nil {
		return "redis"
	}
	return "rediss"
}

// options are those of a client of one server, as its default user.
func (r *Redises) options(addr, password string) *redis.Options {
	o := &redis.Options{Network: "tcp", Addr: addr, Password: password}
	if r.secure != nil {
		o.TLSConfig = r.secure.client
	}
	return o
}
