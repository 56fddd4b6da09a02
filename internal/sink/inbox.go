package sink

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// perPage is how many mails a page of the list shows.
const perPage = 50

//go:embed inbox.html
var inboxHTML string

// The rights of a page of the inbox, and of a mail's HTML, in a browser. Nothing may leave this machine. The mail may
// have no script, form or top-level navigation either.
const (
	pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; " +
		"base-uri 'none'; frame-ancestors 'none'"
	mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; " +
		"form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox"
)

// Handler is the inbox as a web page: the mails that Mails returns, newest first. It has no authentication.
func (s *Sink) Handler() http.Handler {
	pages := template.Must(template.New("inbox").Funcs(template.FuncMap{
		"join":  func(all []string) string { return strings.Join(all, ", ") },
		"at":    func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") },
		"count": grouped,
	}).Parse(inboxHTML))
	show := func(w http.ResponseWriter, status int, page string, data any) {
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, page, data); err != nil {
			http.Error(w, "the page could not be made", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.WriteHeader(status)
		w.Write(b.Bytes())
	}
	withMail := func(next func(http.ResponseWriter, *http.Request, numbered)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.Atoi(r.PathValue("number"))
			m, ok := s.mail(n)
			if err != nil || !ok {
				show(w, http.StatusNotFound, "missing", nil)
				return
			}
			next(w, r, numbered{n, m})
		}
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.FormValue("page"))
		show(w, http.StatusOK, "list", s.list(strings.TrimSpace(r.FormValue("to")), page))
	})
	mux.HandleFunc("GET /mail/{number}", withMail(func(w http.ResponseWriter, r *http.Request, m numbered) {
		show(w, http.StatusOK, "mail", viewOf(m, r.FormValue("view")))
	}))
	mux.HandleFunc("GET /mail/{number}/html", withMail(func(w http.ResponseWriter, _ *http.Request, m numbered) {
		html, _ := bodies(m.Raw)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", mailPolicy)
		fmt.Fprint(w, html)
	}))
	mux.HandleFunc("GET /mail/{number}/raw", withMail(func(w http.ResponseWriter, _ *http.Request, m numbered) {
		w.Header().Set("Content-Type", "message/rfc822")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=mail-%d.eml", m.Number))
		fmt.Fprint(w, m.Raw)
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusNotFound, "missing", nil) })
	return guarded(mux)
}

// guarded sets the headers of every answer of the inbox, and answers to the names of this machine alone. Else a page
// elsewhere could make a name of its own resolve to here, and read the mails (DNS rebinding).
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !local(r) {
			http.Error(w, "the inbox is asked for by 127.0.0.1, [::1] or localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// local reports whether a request names a loopback address.
func local(r *http.Request) bool {
	host := (&url.URL{Host: r.Host}).Hostname()
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// numbered is a mail with its number: 1 is the first that came.
type numbered struct {
	Number int
	Mail
}

// mail returns mail number n, if it is kept.
func (s *Sink) mail(n int) (Mail, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := n - 1 - (s.count - len(s.mails))
	if i < max(0, len(s.mails)-s.o.Keep) || i >= len(s.mails) {
		return Mail{}, false
	}
	return s.mails[i], true
}

// listing is a page of the list.
type listing struct {
	To         string // the text to look for in recipients
	Mails      []numbered
	Taken      int // mails that ever came
	Kept       int // of them in memory
	Matching   int // of these to such a recipient
	From, Till int // which of the matching ones are on the page, counted from 1
	Newer      int // the pages next to this one, 0 = none
	Older      int
}

// list returns a page, 1 being the newest mails; a page that is not there is the nearest that is.
func (s *Sink) list(to string, page int) listing {
	s.mu.Lock()
	l := listing{To: to, Taken: s.count}
	mails := slices.Clone(s.mails[max(0, len(s.mails)-s.o.Keep):])
	s.mu.Unlock()

	l.Kept = len(mails)
	var all []numbered
	for i, m := range slices.Backward(mails) {
		if to == "" || strings.Contains(strings.ToLower(strings.Join(m.RcptTo, " ")), strings.ToLower(to)) {
			all = append(all, numbered{l.Taken - l.Kept + i + 1, m})
		}
	}
	l.Matching = len(all)
	last := max(1, (len(all)+perPage-1)/perPage)
	page = min(max(page, 1), last)
	l.From, l.Till = (page-1)*perPage+1, min(page*perPage, len(all))
	l.Mails = all[l.From-1 : l.Till]
	l.Newer = page - 1
	if page < last {
		l.Older = page + 1
	}
	return l
}

// view is one mail as a page shows it.
type view struct {
	numbered
	View    string // html, text or source
	HasHTML bool
	HasText bool
	Text    string
}

// viewOf returns the view that was asked for, or the first that the mail has.
func viewOf(m numbered, asked string) view {
	html, text := bodies(m.Raw)
	v := view{numbered: m, View: asked, HasHTML: html != "", HasText: text != ""}
	if asked != "source" && !(asked == "text" && v.HasText) && !(asked == "html" && v.HasHTML) {
		switch {
		case v.HasHTML:
			v.View = "html"
		case v.HasText:
			v.View = "text"
		default:
			v.View = "source"
		}
	}
	switch v.View {
	case "text":
		v.Text = text
	case "source":
		v.Text = strings.ToValidUTF8(m.Raw, "\uFFFD")
	}
	return v
}

// grouped writes n with a comma at each thousand.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
