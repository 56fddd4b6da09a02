package console

import (
	"bytes"
	"cmp"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// previewView is a mail of a draft, for the frame on its page.
type previewView struct {
	*Frame
	Faults []fault
	Mail   *shownSample // nil: it can't be made
	Reason string       // why not, where that is no fault of a file
	AsText bool
}

// anotherOf is among how many customers another one is found.
const anotherOf = 100

// preview shows a mail of a draft as the form has it, which need not be saved.
func (c *Console) preview(w http.ResponseWriter, r *http.Request) {
	s, err := c.savedDraft(r)
	if err == nil {
		err = parsed(r)
	}
	if err == nil {
		s.Files, err = edited(s.Files, r.PostForm, c.Desk.Ready(""))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := &previewView{Frame: c.frame(r, "compose.preview"), AsText: r.PostForm.Get("preview-as") == "text"}
	styles := []string{"'self'"}
	if blankText(s.Files, r.PostForm.Get("tab")) {
		c.frameOnly(w, v, styles)
		return
	}
	draft := &composeView{Frame: v.Frame, Draft: s}
	m, err := c.sample(r, draft)
	err = directory.LocateIn(directory.Files(s.Files).FS(), err)
	if err == nil {
		document, its := framed(m.HTML)
		v.Mail, styles = &shownSample{m, document}, slices.Concat(styles, its)
		styles = slices.DeleteFunc(styles, func(s string) bool { return s == "'none'" })
	} else {
		v.Faults = draft.faultsOf(err)
		for i, f := range v.Faults {
			v.Faults[i].Place = draft.PlaceOf(f)
		}
		c.unshown(r, v, err)
	}
	c.frameOnly(w, v, styles)
}

// unshown says why a mail can't be made.
func (c *Console) unshown(r *http.Request, v *previewView, err error) {
	if len(v.Faults) > 0 && v.Faults[0].Place != "" {
		return
	}
	v.Faults, v.Reason = nil, cmp.Or(v.refusal(err).Text, v.T("error.away"))
	if notice.CodeOf(err) == "" && r.Context().Err() == nil {
		c.Log.Error("a mail can't be previewed", slog.Any("error", err))
	}
}

// sample makes the mail of a draft that a form asks for. Other languages than the one that is shown may be at fault.
func (c *Console) sample(r *http.Request, v *composeView) (m notice.Sample, err error) {
	asked := notice.Sampling{Language: r.PostForm.Get("tab"), Customer: strings.TrimSpace(r.PostForm.Get("customer"))}
	if r.PostForm.Get("do") == "another" {
		asked.Customer, asked.Skip = "", 1+rand.IntN(anotherOf)
	}
	files := directory.Files(maps.Clone(v.Draft.Files))
	body, err := directory.ReadFiles(files.FS())
	if err != nil {
		for _, f := range v.faultsOf(err) {
			if tag, _ := textOf(f.File); tag != "" && tag != asked.Language {
				delete(files, f.File)
			}
		}
		if body, err = directory.ReadFiles(files.FS()); err != nil {
			return m, err
		}
	}
	return c.Desk.Sample(r.Context(), body, asked)
}

// blankText reports whether the text of a language says nothing yet.
func blankText(files directory.Files, tag string) bool {
	text, there := files[tag+".md"]
	return there && string(text) == string(joinText("", ""))
}

// frameOnly answers with a page for a frame of the draft's page: it runs nothing, and has the styles of the mail that it shows.
func (c *Console) frameOnly(w http.ResponseWriter, v *previewView, styles []string) {
	var html bytes.Buffer
	if err := c.pages["preview"].ExecuteTemplate(&html, "bare", v); err != nil {
		c.Log.Error("a preview can't be made", slog.Any("error", err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+strings.Join(styles, " ")+"; img-src 'self' data:; frame-src 'self'; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = html.WriteTo(w) // fails only if the reader has gone
}

// parsed reads the form of a request.
func parsed(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return notice.Invalid("form", "can't be read")
	}
	return nil
}
