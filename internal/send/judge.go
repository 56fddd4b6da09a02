package send

import (
	"regexp"
	"strings"
)

// class is a sort of reply, whichever command it answers.
type class uint8

const (
	taken    class = iota // 2xx and 3xx
	closing               // 421: the relay ends the connection
	passing               // 4xx, or an enhanced code that says so
	lasting               // 5xx, or an enhanced code that says so
	ofMail                // of these: the message is too large, or of a form that the relay does not take
	suspect               // of these: the relay may have something against everybody's mail
	ofSetUp               // it wants AUTH or TLS (RFC 4954 §6): it is this side's set-up that is wrong
	nClasses = iota
)

// meaning is the consequence of a reply to a command.
type meaning uint8

const (
	goesOn    meaning = iota // sent, where it answers the dot
	afresh                   // the connection is over: another one, where it has carried mail
	deferred                 // the delivery is tried again later
	refused                  // the delivery has failed
	elsewhere                // it is tried once at the next relay; refused there too, or with no other relay up, it has failed
	ofRelay                  // the relay's or the sender's trouble: the relay rests, the next one has the mail, and it stays owed
)

// meanings holds the meaning of each class of reply, by the command that it answers. Before MAIL (the greeting, EHLO,
// STARTTLS, AUTH) no mail is in hand, and any refusal is the relay's: open has it rest.
var meanings = map[command][nClasses]meaning{
	cmdRSET: {closing: afresh, passing: afresh, lasting: afresh, ofMail: afresh, suspect: afresh, ofSetUp: afresh},
	cmdMAIL: {closing: afresh, passing: deferred, lasting: ofRelay, ofMail: elsewhere, suspect: ofRelay, ofSetUp: ofRelay},
	cmdRCPT: {closing: afresh, passing: deferred, lasting: refused, ofMail: refused, suspect: elsewhere, ofSetUp: ofRelay},
	cmdDATA: {closing: afresh, passing: deferred, lasting: ofRelay, ofMail: elsewhere, suspect: ofRelay, ofSetUp: ofRelay},
	cmdDot:  {closing: deferred, passing: deferred, lasting: refused, ofMail: refused, suspect: elsewhere, ofSetUp: ofRelay},
}

// judge returns the consequence of a reply to a command.
func judge(c command, r reply) meaning { return meanings[c][r.class()] }

// class sorts a reply. The enhanced code knows better than the plain one whether trying again can help (RFC 3463 §2).
func (r reply) class() class {
	detail := ""
	if len(r.enhanced) > 2 {
		detail = r.enhanced[2:] // subject and detail
	}
	switch {
	case r.code < 400:
		return taken
	case r.code == 421:
		return closing
	case r.code == 530, r.code == 534, r.code == 535, r.code == 538:
		return ofSetUp
	case r.enhanced != "" && r.enhanced[0] == '4', r.enhanced == "" && r.code < 500:
		return passing
	case detail == "2.3", detail == "3.4", strings.HasPrefix(detail, "6."):
		return ofMail
	case detail == "1.1", detail == "1.6", strings.HasPrefix(detail, "2."):
		return lasting
	case r.suspicious(detail):
		return suspect
	case r.code == 552 && tooLargeText.MatchString(r.text):
		return ofMail
	}
	return lasting
}

// suspicious reports whether a refusal reads as one that everybody's mail would meet. It is about the protocol, a
// policy, the sender, or the relay's own state.
func (r reply) suspicious(detail string) bool {
	switch r.code {
	case 500, 502, 503, 504:
		return true
	}
	return strings.HasPrefix(detail, "5.") || strings.HasPrefix(detail, "7.") || suspiciousText.MatchString(r.text)
}

var tooLargeText = regexp.MustCompile(`(?i)\b(size|large|big|length)\b`)

// suspiciousText is how relays that give no enhanced code, or an unspecific one, word such refusals.
var suspiciousText = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`\brelay(ing)?\b.{0,20}\b(denied|not (permitted|allowed)|prohibited|forbidden|refused|disabled)`,
	`\b(not|cannot|can't|unable|won't|don't|refuse)\b.{0,20}\brelay`,
	`\b[eh]elo\b|\behlo\b|authenticat|\bauth (is )?required|\bstarttls\b`,
	`\bsender\b.{0,30}\b(rejected|denied|refused|blocked|not |unknown|invalid|verif)`,
	`\b(client|your) (host|ip|address|server|domain|account|organi[sz]ation)\b`,
	`\bblocked\b|black ?list|block ?list|deny ?list|\b(dns|r)bl\b|spamhaus|reputation`,
	`\b(sending|daily|hourly|monthly|outgoing|outbound|rate|sender|message|messages|mail|mails|emails)\b.{0,20}\b(quota|limit|allowance)`,
	`\b(quota|limit|allowance)\b.{0,30}\b(day|hour|month|sender|sending)`,
	`\b(mails|messages|emails|recipients)\b.{0,10}\b(per|an|a|each) (minute|hour|day|month)\b`,
	`\btoo many (mails|messages|emails|recipients|connections)`,
}, "|"))
