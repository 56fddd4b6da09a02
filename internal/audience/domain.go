package audience

import (
	"strings"

	"golang.org/x/net/idna"

	"tocsin/internal/notice"
)

// domainKey returns the domain of a mailbox as lower-case A-label without a dot at its end. The domain may be written
// as U-label, as A-label, or with the full-width dots that IDNA maps. The reason names the fault of a domain that
// can't be public: a single label, an IP address, a name beyond the lengths of RFC 1035 §2.3.4. It does not repeat the
// domain.
func domainKey(s string) (domain, reason string) {
	if strings.HasPrefix(s, "[") {
		return "", "the domain is an address literal; write a domain name such as example.com"
	}
	ascii := strings.ToLower(s)
	// Names without an A-label are left to the rules of DNS: IDNA would refuse "ab--cd.example", which exists.
	if !isASCII(s) || strings.Contains(ascii, "xn--") {
		var err error
		if ascii, err = idna.Lookup.ToASCII(s); err != nil {
			return "", "the domain is not a valid internationalised name"
		}
	}
	ascii = strings.TrimSuffix(ascii, ".")
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if reason := badLabel(label); reason != "" {
			return "", reason
		}
	}
	if len(labels) < 2 {
		return "", "the domain is a single label; write it in full, such as example.com"
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", "the domain is a number; write a domain name such as example.com"
	}
	if len(ascii) > maxPath {
		return "", "the domain is too long"
	}
	return ascii, ""
}

func badLabel(label string) string {
	switch {
	case label == "":
		return "the domain has a dot at its start or two in a row"
	case len(label) > 63:
		return "the domain has a label longer than 63 octets"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "the domain has a hyphen at an end of a label"
	}
	for i := range len(label) {
		c := label[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "the domain holds a character other than letters, digits, hyphens and dots"
		}
	}
	return ""
}

// ParseDomain reads a domain of mailboxes, however it is written, and returns its lower-case A-label. Its error is a *notice.Error
// with Field "domain".
func ParseDomain(s string) (string, error) {
	domain, reason := domainKey(strings.TrimSpace(s))
	if strings.Contains(s, "@") {
		reason = "is an address; write the part behind its @"
	}
	if reason != "" {
		return "", notice.Invalid("domain", "%s", reason)
	}
	return domain, nil
}
