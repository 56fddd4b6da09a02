package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
	"tocsin/internal/optout"
)

const (
	// maxChoice is the size of the largest choice, in bytes: that of a mail provider has a tenth of it.
	maxChoice = 8 << 10
	// readersAtOnce and readerWaits keep the pages from taking the database away from everything else.
	readersAtOnce = 4
	readerWaits   = 5 * time.Second
	maxLanguages  = 10 // of a browser that are looked at
)

// readers serves the pages on which readers stop and resume mails. Their tokens admit them.
type readers struct {
	server *Server
	pages  *optout.Pages
	places chan struct{}
}

func (s *Server) serveReaders(pages *optout.Pages) {
	r := &readers{server: s, pages: pages, places: make(chan struct{}, readersAtOnce)}
	s.mux.HandleFunc("GET /u/{token}", r.show)
	s.mux.HandleFunc("POST /u/{token}", r.choose)
}

// show shows the choices of a reader, and changes nothing: programs that look for harmful links open those of a mail.
func (rs *readers) show(w http.ResponseWriter, r *http.Request) {
	rs.answer(w, r, false, func(ctx context.Context) (notice.Choices, error) {
		return rs.server.desk.Choices(ctx, r.PathValue("token"))
	})
}

// choose takes the one click of a mail provider (RFC 8058 §3.2), or the form of a page.
func (rs *readers) choose(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxChoice)
	err := r.ParseForm()
	if err == nil {
		err = r.ParseMultipartForm(maxChoice)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		plain(http.StatusRequestEntityTooLarge, "a choice has at most 8 KiB").write(w, r)
		return
	}
	form := r.PostForm
	var topic notice.Scope
	stop := form.Get("List-Unsubscribe") == "One-Click"
	if !stop {
		topic, stop = notice.Scope(form.Get("topic")), form.Get("do") == optout.Stop
	}
	known := stop || form.Get("do") == optout.Resume && topic != ""
	if err != nil && !errors.Is(err, http.ErrNotMultipart) || !known {
		plain(http.StatusBadRequest, "the body is neither List-Unsubscribe=One-Click nor the form of the page").write(w, r)
		return
	}
	rs.answer(w, r, true, func(ctx context.Context) (notice.Choices, error) {
		return rs.server.desk.Choose(ctx, r.PathValue("token"), topic, stop)
	})
}

// answer asks the ledger and shows its answer.
func (rs *readers) answer(w http.ResponseWriter, r *http.Request, saved bool, ask func(context.Context) (notice.Choices, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), readerWaits)
	defer cancel()
	select {
	case rs.places <- struct{}{}:
		defer func() { <-rs.places }()
	case <-ctx.Done():
		rs.pages.Later(w, http.StatusServiceUnavailable, speaks(r))
		return
	}
	c, err := ask(ctx)
	switch {
	case err == nil:
		rs.pages.Choices(w, c, saved)
	case notice.CodeOf(err) == notice.CodeNotFound:
		rs.pages.Gone(w, speaks(r))
	default:
		p := rs.server.problem(r.Context(), err)
		if p.Status < http.StatusInternalServerError {
			p.write(w, r)
			return
		}
		rs.pages.Later(w, p.Status, speaks(r))
	}
}

// speaks returns the languages that a browser asks for, the best first.
func speaks(r *http.Request) (languages []string) {
	tags, _, _ := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	for _, t := range tags[:min(len(tags), maxLanguages)] {
		languages = append(languages, t.String())
	}
	return languages
}
