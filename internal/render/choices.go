package render

import (
	htmltemplate "html/template"
	"net/netip"
	"net/url"
	"strings"

	"tocsin/internal/notice"
)

// readerPath is where the pages of readers are, below the address of the settings; a token follows.
const readerPath = "/u/"

// noReader stands in the place of the token in a mail that is no delivery: a sample or a test.
const noReader = "preview"

// choices is where the readers of a notice's mails stop others like them. The zero choices are nowhere.
type choices struct {
	page     string // the address of a reader's page but for the token
	oneClick bool   // a mail program may use it for the reader (RFC 8058)
}

// choicesOf returns the choices of a notice: nowhere for an outage or maintenance that is going on. Its error is an
// *notice.Error where the address can't stand in a header (RFC 2369 §2).
func choicesOf(src Source) (c choices, err error) {
	if src.PublicURL == "" || src.Body.Topic() == "" {
		return c, nil
	}
	u, err := url.Parse(src.PublicURL)
	foreign := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>"\`, r) }
	if err != nil || u.Host == "" || strings.ContainsFunc(src.PublicURL, foreign) {
		return c, notice.Invalid("public_url", "%q is no address of a page such as https://tocsin.example.net", src.PublicURL)
	}
	// RFC 8058 §3.1 wants https. On this machine alone plain http will do, to try it.
	ip, _ := netip.ParseAddr(u.Hostname())
	return choices{page: src.PublicURL + readerPath, oneClick: u.Scheme == "https" || ip.IsLoopback() || u.Hostname() == "localhost"}, nil
}

// header returns the lines of a header that offer the choice, none where there is none.
func (c choices) header() (lines []piece) {
	if c.page == "" {
		return nil
	}
	lines = []piece{{Text: "List-Unsubscribe: <" + c.page}, {Field: fieldReader}, {Text: ">\r\n"}}
	if c.oneClick {
		lines = add(lines, piece{Text: "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"})
	}
	return lines
}

// unsubscribe is a link to the choices, for a layout. It is empty where there are none.
type unsubscribe struct {
	URL       htmltemplate.URL
	Text      string
	Language  string // of Text, BCP 47: English where the mail's has no words
	Direction string // ltr or rtl
}

// unsubscribe returns the link for the readers of a text.
func (p *Program) unsubscribe(of *text) unsubscribe {
	if p.choices.page == "" {
		return unsubscribe{}
	}
	w := p.languages.readerWords(of.key)
	return unsubscribe{URL: htmltemplate.URL(p.choices.page + readerSlot), Text: w.Words[leaveWord], Language: w.Language, Direction: w.Direction}
}
