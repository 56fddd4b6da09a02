package api

import (
	"net/http"
	"strings"

	"tocsin/internal/notice"
)

// Console is the pages for people; package console implements it. Its routes stand in the one table of routes.
type Console interface {
	// Routes are its handlers by pattern.
	Routes() map[string]http.HandlerFunc
	// SignedIn is the person of the session that r shows, "" where there is none.
	SignedIn(r *http.Request) (name string, role notice.TokenRole, err error)
	// With returns r with the one who was admitted.
	With(r *http.Request, name string, role notice.TokenRole) *http.Request
	// Refuse answers a browser that may not go on, with 401 by asking it to sign in.
	Refuse(w http.ResponseWriter, r *http.Request, status int, detail string)
	// EndStreams ends the answers that last until the reader goes.
	EndStreams()
}

// open reports whether anybody may ask for a path: it tells nothing, or admits by itself.
func (s *Server) open(path string) bool {
	switch path {
	case "/healthz", "/readyz", "/openapi.json":
		return true
	}
	return s.console != nil && (path == "/sign-in" || strings.HasPrefix(path, "/sign-in/") || strings.HasPrefix(path, "/assets/"))
}

// crossOrigin refuses requests that a page of another site has a browser make. A token is not sent along with these.
var crossOrigin = http.NewCrossOriginProtection()

// refuseRequest answers r with p: a browser gets a page, where there is a console.
func (s *Server) refuseRequest(w http.ResponseWriter, r *http.Request, p *Problem) {
	if s.console != nil && !s.public && strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.console.Refuse(w, r, p.Status, p.Detail)
		return
	}
	p.write(w, r)
}

// staleAfter has tokens read anew after a request that adds or revokes one.
func (s *Server) staleAfter(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.keys.stale()
		handle(w, r)
	}
}
