package api

import (
	"crypto/sha256"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// operatorHeader is the client's name for the person at it, a note to the name of the token, which says who acted.
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

// admit returns who asks, and why r may not pass, nil if it may. It looks at nothing that routing would tell, so that an
// outsider cannot tell either.
func (s *Server) admit(r *http.Request) (caller, *Problem) {
	if s.public {
		return caller{}, nil
	}
	token, given := tokenOf(r)
	if !given && crossOrigin.Check(r) != nil {
		return caller{}, plain(http.StatusForbidden, "this request comes from a page of another site")
	}
	if s.open(r.URL.Path) {
		return caller{}, nil
	}
	refusal := "a bearer token is needed: Authorization: Bearer …"
	if given {
		var who caller
		if who, refusal = s.keys.find(r.Context(), token); refusal == "" {
			return who, nil
		}
	}
	if s.console != nil && !given {
		switch name, role, err := s.console.SignedIn(r); {
		case err != nil:
			return caller{}, s.classify(r.Context(), err)
		case name != "":
			return caller{name, role, true}, nil
		}
	}
	needed, err := s.keys.needed(r.Context())
	switch {
	case err != nil && r.URL.Path != "/metrics":
		return caller{}, s.classify(r.Context(), err)
	case !needed:
		return caller{role: notice.RoleAdmin}, admitLocal(r)
	case given && !s.wrong.wait(r):
		return caller{}, plain(http.StatusTooManyRequests, "too many wrong tokens come from this address")
	}
	return caller{}, plain(http.StatusUnauthorized, refusal)
}

// tokenOf returns the token that r shows (RFC 6750).
func tokenOf(r *http.Request) (token string, given bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
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

// actor is who acts, for the log. Without any token it is the note alone, unless that would pass for Tocsin's own acts or a reader's.
func actor(who caller, note string) string {
	base, _ := notice.SplitActor(note)
	switch {
	case who.name != "":
		return notice.Actor(who.name, note)
	case note != "" && !strings.EqualFold(base, notice.System) && !strings.EqualFold(base, notice.Reader):
		return note
	}
	return notice.Actor(notice.NoToken, note)
}
