package console

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"tocsin/internal/notice"
)

//go:embed templates
var templateFiles embed.FS

// view is the typed content of a page.
type view interface{ frame() *Frame }

func (f *Frame) frame() *Frame { return f }

// page is a template of the whole page, in which each live part is a template of its own name.
type page struct{ *template.Template }

// parsePages reads the templates. It panics if one is wrong, which the first test finds.
func parsePages() map[string]*page {
	pages := map[string]*page{}
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		name, _ := strings.CutSuffix(file.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		pages[name] = &page{template.Must(template.ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", path.Join("templates", file.Name())))}
	}
	return pages
}

// build makes the view of a page for a request.
type build func(r *http.Request) (view, error)

// show is a page that does not change by itself.
func (c *Console) show(name string, build build) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := build(r)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		c.render(w, r, http.StatusOK, name, v)
	}
}

// live is a page with parts that are sent again, at the same address, to a reader who accepts a stream of events.
func (c *Console) live(name string, build build, parts ...string) http.HandlerFunc {
	whole := c.show(name, build)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			whole(w, r)
			return
		}
		c.stream(w, r, name, build, parts)
	}
}

// How often live parts are looked at: not more than a tenth of the time goes into one reader's.
const (
	livelyEvery = time.Second
	lazier      = 10
	recheck     = 30 * time.Second // whether the reader is still signed in
)

// stream sends the parts of a page that have changed, until the reader goes, signs out, or the server stops.
func (c *Console) stream(w http.ResponseWriter, r *http.Request, name string, build build, parts []string) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	sent, checked, first := map[string]string{}, time.Now(), time.Now()
	for {
		began := time.Now()
		v, err := build(r)
		if err != nil {
			return // the browser comes again
		}
		v.frame().Now = first // that time goes by is no change: the script sees to it
		for _, part := range parts {
			var html bytes.Buffer
			if err := c.pages[name].ExecuteTemplate(&html, part, v); err != nil {
				c.Log.Error("a part of a page can't be made", slog.String("page", name), slog.String("part", part), slog.Any("error", err))
				return
			}
			if html.String() == sent[part] {
				continue
			}
			sent[part] = html.String()
			event, _ := json.Marshal(map[string]string{"id": part, "html": html.String()}) // strings alone
			if _, err := fmt.Fprintf(w, "data: %s\n\n", event); err != nil {
				return
			}
		}
		if _, err := fmt.Fprint(w, ": \n\n"); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-c.ending:
			return
		case <-time.After(max(livelyEvery, lazier*time.Since(began))):
		}
		if time.Since(checked) > recheck && sessionOf(r) != "" {
			if signedIn, _, err := c.SignedIn(r); signedIn == "" || err != nil {
				return
			}
			checked = time.Now()
		}
	}
}

// render answers with a page. A page that can't be made is an error page, not half of one.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	var html bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&html, "layout", v); err != nil {
		c.Log.Error("a page can't be made", slog.String("page", name), slog.Any("error", err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = html.WriteTo(w) // fails only if the reader has gone
}

// errorView is the page of a request that was refused.
type errorView struct {
	*Frame
	Status int
	Refusal
}

// Refuse answers a browser that may not go on. One that is not signed in is asked to, and learns nothing of the pages.
func (c *Console) Refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	if status == http.StatusUnauthorized {
		to := "/sign-in"
		if r.Method == http.MethodGet && r.URL.Path != "/" {
			to += "?next=" + template.URLQueryEscaper(r.URL.RequestURI())
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	guarded(func(w http.ResponseWriter, r *http.Request) {
		v := &errorView{Frame: c.frame(r, "error.title"), Status: status}
		v.Text = v.T(cmp.Or(refusedWith[status], "error.away"))
		if status == http.StatusForbidden || refusedWith[status] == "" { // the others have one reason, and the text says it
			v.Said = detail
		}
		c.render(w, r, status, "error", v)
	})(w, r)
}

// fail answers with the error.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	v := &errorView{Frame: c.frame(r, "error.title"), Status: http.StatusServiceUnavailable}
	switch notice.CodeOf(err) {
	case notice.CodeNotFound:
		v.Status, v.Refusal = http.StatusNotFound, v.refusal(err)
	case notice.CodeInvalid:
		v.Status, v.Refusal = http.StatusUnprocessableEntity, v.refusal(err)
	case notice.CodeConflict, notice.CodeTooEarly, notice.CodePlanChanged:
		v.Status, v.Refusal = http.StatusConflict, v.refusal(err)
	default:
		if r.Context().Err() == nil {
			c.Log.Error("a page can't be made", slog.Any("error", err))
		}
		v.Text = v.T("error.away")
	}
	c.render(w, r, v.Status, "error", v)
}
