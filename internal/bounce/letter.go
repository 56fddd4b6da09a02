package bounce

import (
	"bytes"
	"regexp"
	"strings"
)

// letter is a mail taken apart by the purpose of its parts.
type letter struct {
	header   header
	report   bool   // it is a multipart/report (RFC 6522)
	receipt  bool   // it has a message disposition notification (RFC 8098)
	words    string // for people: the text before the returned mail
	status   string // fields of a message/delivery-status
	feedback string // fields of a message/feedback-report
	returned header // of the mail that came back; nil if it is not there
	enclosed bool   // a whole mail is attached
}

// gather takes a mail apart. Mails in it are not searched: a report that is forwarded is not for us.
func gather(root *part) *letter {
	l := &letter{header: root.header, report: root.kind == "multipart/report"}
	var words strings.Builder
	l.gather(root, &words)
	l.words = words.String()
	h, at := findHeader(l.words)
	if h != nil && mailerPattern.MatchString(h.get("From")) { // a gateway passes on the bounce of a system behind it, as text
		left := maxParts
		wrapped := readPart([]byte(l.words[at:]), 1, &left)
		words.Reset()
		l.gather(wrapped, &words)
		l.words = l.words[:at] + words.String()
		h, at = findHeader(l.words)
	}
	if h != nil {
		if l.returned == nil {
			l.returned = h
		}
		l.words = l.words[:at]
	}
	if l.status == "" && recipientField.MatchString(l.words) {
		l.status = l.words
	}
	return l
}

func (l *letter) gather(p *part, words *strings.Builder) {
	switch {
	case p.kind == "multipart/alternative":
		l.gatherBest(p, words)
	case len(p.parts) > 0:
		for _, each := range p.parts {
			l.gather(each, words)
		}
	case p.kind == "message/delivery-status", p.kind == "message/global-delivery-status":
		l.status += p.text() + "\n\n"
	case p.kind == "message/feedback-report":
		l.feedback += p.text()
	case p.kind == "message/disposition-notification", p.kind == "message/global-disposition-notification":
		l.receipt = true
	case strings.HasPrefix(p.kind, "message/"), strings.HasPrefix(p.kind, "text/rfc822"):
		l.enclosed = true
		if l.returned == nil {
			l.returned, _ = readHeader(p.content())
		}
	case words.Len() < maxText && (strings.HasPrefix(p.kind, "text/") || strings.HasPrefix(p.kind, "multipart/")):
		words.WriteString(p.text())
		words.WriteByte('\n')
	}
}

// gatherBest takes one of the alternatives: plain text, unless it is empty or only says that there is HTML.
func (l *letter) gatherBest(p *part, words *strings.Builder) {
	for _, each := range p.parts {
		if each.kind == "text/plain" && len(strings.TrimSpace(each.text())) > 40 {
			l.gather(each, words)
			return
		}
	}
	for _, each := range p.parts {
		l.gather(each, words)
	}
}

// Fields that are found in the header of a mail. One of strongFields and two others make a header.
var (
	strongFields = []string{"received", "message-id", "return-path", "mime-version", "dkim-signature", "x-received"}
	weakFields   = []string{
		"from", "to", "cc", "subject", "date", "content-type", "content-transfer-encoding", "reply-to", "sender", "delivered-to",
		"x-mailer", "user-agent",
	}
)

// findHeader finds the header of a returned mail in the text of a bounce, and where it begins.
func findHeader(text string) (h header, at int) {
	rest := []byte(text)
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		if name, _ := fieldName(line); isOfMail(name) {
			at := len(text) - len(rest)
			if h, rest = readHeader(rest); isHeader(h) {
				return h, at
			}
			continue
		}
		rest = after
	}
	return nil, 0
}

func isOfMail(name string) bool { return contains(strongFields, name) || contains(weakFields, name) }

// isHeader reports whether the fields are those of a mail.
func isHeader(h header) bool {
	strong, weak := 0, 0
	for _, f := range h {
		if contains(strongFields, f.name) {
			strong++
		} else if contains(weakFields, f.name) {
			weak++
		}
	}
	return strong > 0 && strong+weak > 2
}

// mailerPattern is a From of a mail system.
var mailerPattern = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`^<?(mailer[-_.]?daemon|mail[-_.]?daemon|post[-_.]?master|mail\.delivery\.system|mailer|mdaemon|[a-z.-]*bounces?)(@|>|$)`,
	`<(mailer[-_.]?daemon|post[-_.]?master|mail\.delivery\.system)(@|>)`, `<>`,
	`mail(er)? delivery (sub)?(system|agent)`, `mailer[- ]daemon`, `system administrator`,
}, "|"))

// mailer reports whether the mail says that a mail system wrote it.
func (l *letter) mailer() bool {
	return l.report || l.header.get("X-Failed-Recipients") != "" || mailerPattern.MatchString(strings.TrimSpace(l.header.get("From")))
}

// nullSender reports whether the mail was sent so that nothing comes back to it (RFC 5321 §4.5.5).
func (l *letter) nullSender() bool {
	for _, path := range l.header.all("Return-Path") {
		if path = strings.ToLower(strings.Trim(path, "<> ")); path == "" || path == "mailer-daemon" || strings.HasPrefix(path, "mailer-daemon@") {
			return true
		}
	}
	return false
}

// machine reports whether a machine sent the mail: a report that a person forwards is not one to us.
func (l *letter) machine() bool { return l.mailer() || l.nullSender() }
