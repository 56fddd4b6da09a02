package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// mailView is the page of one mail: as it was sent, and its history.
type mailView struct {
	*Frame
	Mail  notice.Message
	Found notice.Found // the delivery, its customers, and its timeline
	As    string       // one of mailForms
	Forms []string
}

// mailForms are the forms in which a mail is shown.
var mailForms = []string{"html", "text", "headers", "source"}

func (c *Console) mail(r *http.Request) (view, error) {
	v := &mailView{Frame: c.frame(r, "mail.title"), Forms: mailForms, As: cmp.Or(r.FormValue("as"), mailForms[0])}
	if !slices.Contains(mailForms, v.As) {
		return nil, notice.Invalid("as", "is not html, text, headers or source")
	}
	var err error
	if v.Mail, err = c.message(r); err != nil {
		return nil, err
	}
	if v.Found, err = c.Desk.LookAt(r.Context(), v.Mail.Key, v.Mail.Seq); err != nil {
		return nil, err
	}
	v.Title = v.T("mail.of", v.Mail.Key)
	return v, nil
}

// Entry is the mail as the history of its customers has it.
func (v *mailView) Entry() (e notice.HistoryEntry) {
	if len(v.Found.Deliveries) > 0 {
		e = v.Found.Deliveries[0]
	}
	return e
}

// message makes the mail again that a path names.
func (c *Console) message(r *http.Request) (notice.Message, error) {
	seq, err := strconv.Atoi(r.PathValue("seq"))
	if err != nil || seq < 0 {
		return notice.Message{}, notice.NotFound("there is no such mail")
	}
	return c.Desk.Message(r.Context(), r.PathValue("id"), seq)
}

// mailHTML is the HTML of a mail, for a frame: without scripts, forms, links that lead on, or anything that is loaded.
func (c *Console) mailHTML(w http.ResponseWriter, r *http.Request) {
	m, err := c.message(r)
	if err == nil && m.HTML == "" {
		err = notice.NotFound("%s", m.Why)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	document, styles := framed(m.HTML)
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; img-src data:; style-src "+strings.Join(styles, " ")+
		"; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(document)) // fails only if the reader has gone
}

// mailSource is the source of a mail, as a file.
func (c *Console) mailSource(w http.ResponseWriter, r *http.Request) {
	m, err := c.message(r)
	if err == nil && m.Source == "" {
		err = notice.NotFound("%s", m.Why)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "message/rfc822")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.%d.eml"`, m.Key, m.Seq))
	_, _ = w.Write([]byte(m.Source)) // fails only if the reader has gone
}
