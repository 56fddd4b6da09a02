package api

import (
	"errors"
	"io"
	"log/slog"
	"net/http"

	"tocsin/internal/hook"
	"tocsin/internal/notice"
	"tocsin/internal/optout"
)

// maxHook is the size of the largest webhook, in bytes: SendGrid sends up to a thousand events at once.
const maxHook = 2 << 20

// NewPublic returns a server for the internet. It serves the webhooks of mail providers, the pages of readers, and nothing
// else. A signature or a password admits a webhook in place of a token; the token in a page's address admits its reader.
// Desk and Log of the options are needed.
func NewPublic(o Options, hooks *hook.Hooks, pages *optout.Pages) *Server {
	s := newServer(o)
	s.public, s.mux = true, &routes{ServeMux: http.NewServeMux()}
	s.mux.HandleFunc("POST /hooks/{provider}", func(w http.ResponseWriter, r *http.Request) { s.takeHook(w, r, hooks) })
	s.serveReaders(pages)
	return s
}

// takeHook records the events of a provider. The provider tries again after any answer but a 2xx.
func (s *Server) takeHook(w http.ResponseWriter, r *http.Request, hooks *hook.Hooks) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxHook+1))
	if err != nil {
		s.problem(r.Context(), err).write(w, r)
		return
	}
	if len(body) > maxHook {
		plain(http.StatusRequestEntityTooLarge, "a webhook has at most 2 MiB").write(w, r)
		return
	}
	provider := r.PathValue("provider")
	reports, err := hooks.Read(r.Context(), provider, r.Header, body)
	switch {
	case errors.Is(err, hook.ErrRefused):
		s.log.Warn("a webhook was refused", slog.String("provider", scrub(provider)), slog.Any("error", err))
		plain(http.StatusForbidden, "this request is not admitted").write(w, r)
		return
	case errors.Is(err, hook.ErrMalformed):
		s.log.Warn("a webhook can't be read", slog.String("provider", provider), slog.Any("error", err))
		plain(http.StatusBadRequest, "the body can't be read").write(w, r)
		return
	case err != nil:
		s.problem(r.Context(), err).write(w, r)
		return
	}
	matched := 0
	for _, report := range reports {
		receipt, err := s.takeReturned(r.Context(), report)
		if err != nil && notice.CodeOf(err) != notice.CodeInvalid {
			s.problem(r.Context(), err).write(w, r)
			return
		}
		if receipt.MatchedBy != "" {
			matched++
		}
	}
	s.log.Info("a webhook was taken", slog.String("provider", provider), slog.Int("events", len(reports)), slog.Int("matched", matched))
	w.WriteHeader(http.StatusNoContent)
}
