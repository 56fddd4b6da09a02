package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"tocsin/internal/notice"
)

// person is the one who looks at a page.
type person struct {
	Name string // "" where no token is needed, as on a machine of one's own
	Role notice.TokenRole
}

// May reports whether they may do things that ask for a role, by its name.
func (p person) May(role string) bool { return p.Role.Covers(notice.TokenRole(role)) }

type personKey struct{}

// With returns the request with the one who was admitted: by a session, a token, or since no token is needed.
func (c *Console) With(r *http.Request, name string, role notice.TokenRole) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), personKey{}, person{name, role}))
}

func personOf(r *http.Request) person {
	p, _ := r.Context().Value(personKey{}).(person)
	return p
}

// SignedIn returns the name and the role of the person of the session that r shows, "" where there is none.
func (c *Console) SignedIn(r *http.Request) (name string, role notice.TokenRole, err error) {
	secret := sessionOf(r)
	if secret == "" {
		return "", "", nil
	}
	s, err := c.Book.Session(r.Context(), sum(secret), c.Idle)
	if notice.CodeOf(err) == notice.CodeNotFound {
		return "", "", nil
	}
	return s.Name, s.Role, err
}

func sum(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// The cookie's name with __Host- in front binds it to this host and to TLS. Browsers refuse it without TLS, which only
// a loopback address goes without.
const (
	secureCookie   = "__Host-tocsin"
	loopbackCookie = "tocsin"
)

func sessionOf(r *http.Request) string {
	name := secureCookie
	if plainLoopback(r) {
		name = loopbackCookie
	}
	if cookie, err := r.Cookie(name); err == nil {
		return cookie.Value
	}
	return ""
}

// plainLoopback reports whether r came to a loopback address without TLS, and past no proxy that says it had it.
func plainLoopback(r *http.Request) bool {
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// keepSession sets the cookie of a session; "" takes it away.
func keepSession(w http.ResponseWriter, r *http.Request, secret string) {
	cookie := &http.Cookie{Name: secureCookie, Value: secret, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if plainLoopback(r) {
		cookie.Name, cookie.Secure = loopbackCookie, false
	}
	if secret == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// newSecret returns 130 random bits as text.
func newSecret() string { return rand.Text() }
