// Package optout shows a page to the reader of a mail. There the reader stops and resumes the notices that nobody
// needs at once: advisories and post-mortems. It is a page without scripts, cookies and requests to anywhere else, and
// names no address.
package optout

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/mail"
	"slices"
	"strings"

	"tocsin/internal/notice"
	"tocsin/internal/render"
)

//go:embed page.html
var pageHTML string

// Pages are the pages of one sender.
type Pages struct {
	words  func(languages ...string) render.ReaderWords
	sender string
	page   *template.Template
	policy string
}

// New returns the pages with the words of a set. from is the mailbox that mails come from (RFC 5322): they show its
// name.
func New(set *render.Set, from string) *Pages {
	words := func(languages ...string) render.ReaderWords {
		current, _ := set.Current() // where its files don't work any more: as they did last
		return current.ReaderWords(languages...)
	}
	p := &Pages{words: words, page: template.Must(template.New("page").Parse(pageHTML))}
	if a, err := mail.ParseAddress(from); err == nil {
		if p.sender = a.Name; p.sender == "" {
			p.sender = a.Address
		}
	}
	_, style, _ := strings.Cut(pageHTML, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	p.policy = fmt.Sprintf(policyStart+"%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
	return p
}

const (
	policyHeader = "Content-Security-Policy"
	policyStart  = "default-src 'none'; style-src 'sha256-" // of each page
	robots       = "noindex"
)

// IsPage reports whether an answer with that header is a page of this package.
func IsPage(h http.Header) bool {
	return strings.HasPrefix(h.Get(policyHeader), policyStart) && h.Get("X-Robots-Tag") == robots
}

// view is the content of a page.
type view struct {
	render.ReaderWords
	Sender string
	Told   string // the outcome of the request, "" for none
	Topics []topic
	Kept   string // that other mails go on, "" where they may not
}

// topic is a part of the page.
type topic struct {
	Topic        notice.Scope
	Title, State string
	Do           string // the name of its button, and of the word on it: Stop, Resume, or "" where there is none
}

// The buttons of a page.
const (
	Stop   = "stop"
	Resume = "resume"
)

// Choices shows the choices of a reader; saved says that one was made just now.
func (p *Pages) Choices(w http.ResponseWriter, c notice.Choices, saved bool) {
	v := view{ReaderWords: p.words(c.Languages...)}
	v.Topics = []topic{part(v.ReaderWords, c, c.Topic)}
	for _, t := range notice.Topics {
		if t != c.Topic {
			v.Topics = append(v.Topics, part(v.ReaderWords, c, t))
		}
	}
	if saved {
		v.Told = v.Words["saved"]
	}
	if len(c.Barred) == 0 { // else somebody may have stopped everything
		v.Kept = v.Words["kept"]
	}
	p.write(w, http.StatusOK, v)
}

// part shows one topic. A reader can resume a topic that the sender stops too, and gets it no sooner.
func part(words render.ReaderWords, c notice.Choices, of notice.Scope) topic {
	t := topic{Topic: of, Title: words.Words[string(of)], State: words.Words["on"], Do: Stop}
	stopped, barred := slices.Contains(c.Stopped, of), slices.Contains(c.Barred, of)
	if stopped {
		t.State, t.Do = words.Words["off"], Resume
	}
	if barred {
		t.State = words.Words["barred"]
		if !stopped {
			t.Do = ""
		}
	}
	return t
}

// Gone says that a link leads nowhere any more.
func (p *Pages) Gone(w http.ResponseWriter, languages []string) {
	words := p.words(languages...)
	p.write(w, http.StatusNotFound, view{ReaderWords: words, Told: words.Words["gone"]})
}

// Later says with an HTTP status that nothing can be shown or kept now.
func (p *Pages) Later(w http.ResponseWriter, status int, languages []string) {
	words := p.words(languages...)
	w.Header().Set("Retry-After", "120")
	p.write(w, status, view{ReaderWords: words, Told: words.Words["later"]})
}

func (p *Pages) write(w http.ResponseWriter, status int, v view) {
	v.Sender = p.sender
	var b bytes.Buffer
	if err := p.page.Execute(&b, v); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Language)
	h.Set(policyHeader, p.policy)
	h.Set("Referrer-Policy", "no-referrer") // the address of the page is the reader's key to it
	h.Set("X-Robots-Tag", robots)
	w.WriteHeader(status)
	w.Write(b.Bytes()) // a client that does not read it is not helped by an error
}
