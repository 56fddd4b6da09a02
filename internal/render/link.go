package render

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"

	"tocsin/internal/notice"
)

// linkAdvice ends the errors about links.
const linkAdvice = "a link in a mail begins with https://, http://, mailto: or tel:"

// astray says why nobody could follow an address, "" if they can.
func astray(address string) string {
	scheme, rest, ok := strings.Cut(address, ":")
	u, err := url.Parse(address)
	switch {
	case address == "":
		return "is empty"
	case !ok || strings.ContainsAny(scheme, "/?#"):
		return "has no scheme"
	case err != nil || strings.ContainsAny(address, " \\"):
		return "is not an address"
	case strings.Contains(address, "#ZgotmplZ"):
		return "was made harmless by another program"
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		ascii, err := lookup.ToASCII(u.Hostname())
		switch {
		case !strings.HasPrefix(rest, "//") || u.Hostname() == "":
			return "has no host"
		case strings.Contains(u.Hostname(), ":"): // an IPv6 address, which url.Parse has looked at
		case err != nil || !hostName.MatchString(ascii):
			return "has a host that is not one"
		}
	case "mailto":
		if mailbox, _, _ := strings.Cut(rest, "?"); !strings.Contains(strings.Trim(mailbox, "@"), "@") && !strings.Contains(strings.Trim(mailbox, "@"), "%40") {
			return "names no mailbox"
		}
	case "tel":
		if !strings.ContainsAny(rest, "0123456789") {
			return "has no number"
		}
	default:
		return "has the scheme " + scheme
	}
	return ""
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// settled reports whether an address leads to one host, whatever comes after it.
func settled(beginning string) bool {
	i := strings.Index(beginning, "://")
	return i >= 0 && strings.ContainsAny(beginning[i+3:], "/?#") && astray(beginning) == ""
}

// leads reports whether an address has a scheme that a mail may link to.
func leads(address string) bool {
	scheme, _, found := strings.Cut(address, ":")
	switch strings.ToLower(scheme) {
	case "http", "https", "mailto", "tel":
		return found
	}
	return false
}

// barred reports whether an address has a scheme that no mail may link to.
func barred(address string) bool {
	scheme, _, found := strings.Cut(address, ":")
	return found && !strings.ContainsAny(scheme, "/?#") && !leads(address)
}

func (s *site) leadsNowhere() error {
	return notice.Invalid(s.Where, "a link would lead to an address that is not http, https, mailto or tel for this recipient")
}

// destinations calls f with the address of each link and image below n.
func destinations(n ast.Node, md []byte, f func(n ast.Node, address []byte)) {
	for c := n.FirstChild(); c != nil; {
		next := c.NextSibling()
		destinations(c, md, f)
		switch c := c.(type) {
		case *ast.Link:
			f(c, c.Destination)
		case *ast.Image:
			f(c, c.Destination)
		case *ast.AutoLink:
			address := string(c.URL(md))
			if c.AutoLinkType == ast.AutoLinkEmail && !strings.HasPrefix(strings.ToLower(address), "mailto:") {
				address = "mailto:" + address
			}
			f(c, []byte(address))
		}
		c = next
	}
}

// nameHosts gives the hosts of links the ASCII form that the DNS has of them.
func nameHosts(doc ast.Node, md []byte) {
	destinations(doc, md, func(n ast.Node, address []byte) {
		named := nameHost(string(address))
		if named == string(address) {
			return
		}
		switch n := n.(type) {
		case *ast.Link:
			n.Destination = []byte(named)
		case *ast.Image:
			n.Destination = []byte(named)
		case *ast.AutoLink:
			link := ast.NewLink()
			link.Destination = []byte(named)
			link.AppendChild(link, ast.NewString(n.Label(md)))
			n.Parent().ReplaceChild(n.Parent(), n, link)
		}
	})
}

// nameHost returns an address of the web with its host in ASCII, as far as it has one.
func nameHost(address string) string {
	if ascii(address) || !leads(address) {
		return address
	}
	begin := strings.Index(address, "//") + 2
	end := len(address)
	if i := strings.IndexAny(address[max(begin, 0):], "/?#"); i >= 0 {
		end = begin + i
	}
	if begin < 2 || ascii(address[begin:end]) {
		return address
	}
	user, host := "", address[begin:end]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, host = host[:i+1], host[i+1:]
	}
	host, port, colon := strings.Cut(host, ":")
	if colon {
		port = ":" + port
	}
	named, err := lookup.ToASCII(host)
	if err != nil {
		return address
	}
	return address[:begin] + user + named + port + address[end:]
}

// links looks at the addresses of a text's links, of all its branches. One that holds a value of the recipient is
// looked at when that is known.
func (p *Program) links(src source, t *text, w whole) {
	e := env{locale: &locale{}, fixed: &p.fixed, text: t}
	destinations(w.doc, w.source, func(_ ast.Node, raw []byte) {
		address, known := t.tokens.resolve(&e, string(raw))
		switch why := astray(address); {
		case known && why != "":
			p.doubts = append(p.doubts, notice.Invalid(src.find(t.tokens, string(raw)), "the address %q of a link %s: %s", address, why, linkAdvice))
		case !known && address != "" && !strings.Contains(address, ":"):
			p.doubts = append(p.doubts, notice.Invalid(src.find(t.tokens, string(raw)), "the address of a link begins with %q: %s", address, linkAdvice))
		}
	})
}

// resolve puts values that are the same for all recipients in the place of tokens. If there are others, it returns the
// text before the first of them, and known is false.
func (t *tokens) resolve(e *env, s string) (resolved string, known bool) {
	for {
		at := t.find(s)
		if at == nil {
			return resolved + s, true
		}
		resolved += s[:at[0]]
		a := t.flat[t.number(s[at[0]:at[1]])].action
		if a.keyword != "" || a.expr.personal() {
			return resolved, false
		}
		v, err := e.eval(a.expr)
		if err != nil || v.kind != kindText || v.s == "" {
			return "", false // not printed, or a hole
		}
		resolved += v.s
		s = s[at[1]:]
	}
}

// find returns the place of the first line that holds s, which may have tokens.
func (s source) find(t *tokens, part string) string {
	if at := t.form.FindString(part); at != "" {
		return s.at(t.flat[t.number(at)].action.line)
	}
	for i, line := range strings.Split(s.text, "\n") {
		if part != "" && strings.Contains(line, part) || part == "" && (strings.Contains(line, "]()") || strings.Contains(line, "](<>")) {
			return s.at(i + 1)
		}
	}
	return s.label
}
