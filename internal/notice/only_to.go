package notice

import (
	"slices"
	"strings"
)

// OnlyTo holds the mailboxes that mails go to alone, as patterns of address keys which package audience reads. None: all
// mailboxes.
type OnlyTo []string

// Matches reports whether mails may go to the mailbox with that address key.
func (o OnlyTo) Matches(key string) bool {
	return len(o) == 0 || slices.ContainsFunc(o, func(pattern string) bool { return mailboxMatches(pattern, key) })
}

// Mark stands before the subject of each mail that is sent under patterns; "" where there are none. It is the same in each
// language, so that a filter can find it.
func (o OnlyTo) Mark() string {
	if len(o) == 0 {
		return ""
	}
	return "[Rehearsal: only_to] "
}

// String says in words where mails go.
func (o OnlyTo) String() string {
	if len(o) == 0 {
		return "everybody"
	}
	return strings.Join(o, ", ") + " alone"
}

func mailboxMatches(pattern, key string) bool {
	local, domain := cutAtDomain(pattern)
	keyLocal, keyDomain := cutAtDomain(key)
	if parent, below := strings.CutPrefix(domain, "*"); below {
		if len(keyDomain) <= len(parent) || !strings.HasSuffix(keyDomain, parent) {
			return false
		}
	} else if domain != keyDomain {
		return false
	}
	return globMatches(local, keyLocal)
}

// cutAtDomain cuts an address at its last @: a quoted local part may have others.
func cutAtDomain(address string) (local, domain string) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, ""
	}
	return address[:at], address[at+1:]
}

// globMatches reports whether s is the pattern, in which * stands for any run of characters.
func globMatches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	s, ok := strings.CutPrefix(s, parts[0])
	last := len(parts) - 1
	if !ok || last == 0 {
		return ok && s == ""
	}
	for _, part := range parts[1:last] {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(s, parts[last])
}

// Restriction says which of a plan's mails would leave under the setting only_to of the processes that are alive.
type Restriction struct {
	OnlyTo     OnlyTo `json:"patterns"`
	Mailed     int    `json:"mailed"`             // recipients to be mailed that match
	Suppressed int    `json:"suppressed"`         // the others, which end suppressed: only_to
	Disagree   string `json:"disagree,omitempty"` // as of Senders
}

// Senders is how the processes that are alive and send are set up.
type Senders struct {
	OnlyTo   OnlyTo // of the first that has one
	Disagree string // names processes with different settings, so that no worker sends; "" = they agree
}
