package api

import (
	"net/http"
	"strings"
)

// queuesPath is where a browser looks at the queue.
const queuesPath = "/queues"

// queuesPolicy keeps the pages to what this server serves: they would ask others for fonts.
const queuesPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"object-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"

// serveQueues registers the pages of Options.Queues, for looking alone: nothing but GET is routed to them.
func (s *Server) serveQueues(pages http.Handler) {
	handle := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", queuesPolicy)
		pages.ServeHTTP(w, r)
	}
	s.mux.HandleFunc("GET "+queuesPath, handle)
	s.mux.HandleFunc("GET "+queuesPath+"/{path...}", handle)
}

func isQueues(path string) bool { return path == queuesPath || strings.HasPrefix(path, queuesPath+"/") }
