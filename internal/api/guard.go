package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// operatorHeader names who pressed; the ledger keeps it.
const operatorHeader = "X-Operator"

// CheckListen reports why a server with these tokens must not listen on addr (host:port): without a token only a
// loopback address will do. Its error is a *notice.Error.
func CheckListen(addr string, tokens []string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return notice.Invalid("TOCSIN_LISTEN", "%q is not host:port, such as 127.0.0.1:8080", addr)
	}
	if len(sums(tokens)) > 0 || loopback(host) {
		return nil
	}
	return notice.Invalid("TOCSIN_TOKEN", "is needed to listen on %s: without a token only a loopback address such as 127.0.0.1:8080 will do", addr)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// sums are the hashes of the tokens that are not empty: of equal length, so that comparing them takes equal time.
func sums(tokens []string) (hashes [][32]byte) {
	for _, t := range tokens {
		if t = strings.TrimSpace(t); t != "" {
			hashes = append(hashes, sha256.Sum256([]byte(t)))
		}
	}
	return hashes
}

// admit returns why r may not pass, nil if it may. It looks at nothing that routing would tell, so that an
// outsider cannot tell either.
func (s *Server) admit(r *http.Request) *Problem {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/openapi.json":
		return nil
	}
	if len(s.tokens) == 0 {
		return admitLocal(r)
	}
	if isQueues(r.URL.Path) {
		return admitBrowser(r, s.tokens)
	}
	return admitToken(r, s.tokens)
}

// admitToken returns why r may not pass where one of the tokens is wanted (RFC 6750), nil if it may.
func admitToken(r *http.Request, tokens [][32]byte) *Problem {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return plain(http.StatusUnauthorized, "a bearer token is needed: Authorization: Bearer …")
	}
	if !isKnown(token, tokens) {
		return plain(http.StatusUnauthorized, "this token is not known here")
	}
	return nil
}

// isKnown takes equal time for all tokens of a length.
func isKnown(token string, tokens [][32]byte) bool {
	given, known := sha256.Sum256([]byte(strings.TrimSpace(token))), 0
	for _, sum := range tokens {
		known |= subtle.ConstantTimeCompare(given[:], sum[:])
	}
	return known == 1
}

// admitLocal stands in for the token on a loopback listener, where any web page in a browser of this machine could
// send requests: by a name that it makes resolve to here (DNS rebinding), or from its own origin.
func admitLocal(r *http.Request) *Problem {
	host := (&url.URL{Host: r.Host}).Hostname()
	if !loopback(host) {
		return plain(http.StatusForbidden, "without a token only requests to a loopback address or localhost are answered")
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, r.Host) {
			return plain(http.StatusForbidden, "without a token requests from other origins are refused")
		}
	}
	return nil
}

// cleanOperator makes an operator's name fit for the ledger and a terminal: printable, one line, 100 bytes at most.
func cleanOperator(name string) string {
	name = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(name, ""), func(r rune) bool {
		return !unicode.IsPrint(r) || r == ' '
	}), " ")
	for len(name) > 100 {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	return strings.TrimSpace(name)
}
