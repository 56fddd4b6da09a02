package notice

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// ReasonRefused begins the reason of a notice that the brake holds; the text of the refusals follows.
const ReasonRefused = "refused: "

// RefusedAlike is a refusal (a 5xx) without all that differs from one mailbox to the next: two that are equal were said
// for the same reason.
type RefusedAlike struct {
	Command  string `json:"command"`
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
}

// Alike returns the refusal of a mail to an address without the address, domains and ids in its text.
func (a Answer) Alike(address string) RefusedAlike {
	local, _, _ := strings.Cut(address, "@")
	words := strings.Fields(a.Text)
	for i, w := range words {
		bare := strings.TrimFunc(w, func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) })
		if strings.ContainsAny(w, "@0123456789") || strings.Contains(bare, ".") || bare != "" && strings.EqualFold(bare, local) {
			words[i] = "…"
		}
	}
	return RefusedAlike{a.Command, a.Code, a.Enhanced, strings.Join(words, " ")}
}

// OfMailbox reports whether a refusal is about single mailboxes (RFC 3463 X.1.1, X.1.6, X.2.X), as far as it says.
func (r RefusedAlike) OfMailbox() bool {
	_, detail, _ := strings.Cut(r.Enhanced, ".")
	return detail == "1.1" || detail == "1.6" || strings.HasPrefix(detail, "2.") || detail == "" && mailboxText().MatchString(r.Text)
}

// mailboxText is compiled when it is needed: it takes a third of the start of a process.
var mailboxText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(no such|unknown|invalid|nonexistent)\b.{0,20}\b(user|mailbox|recipient|address|account)|` +
		`\b(user|mailbox|recipient|address|account)\b.{0,20}\b(unknown|not found|unavailable|disabled|full|does not exist|doesn't exist|over quota)`)
})

// String returns the text that people are shown.
func (r RefusedAlike) String() string {
	return strings.Join(strings.Fields(fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Text)), " ")
}

// Refusals are a row of equal refusals of one notice, with no 250 between them.
type Refusals struct {
	RefusedAlike
	N     int
	Broad bool // they go over several domains
}
