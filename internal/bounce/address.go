package bounce

import (
	"regexp"
	"strings"
)

// addressPattern is an address as it stands in text. RFC 6531 allows letters of all scripts.
var addressPattern = regexp.MustCompile(`(?:"[^"\\\s]{1,64}"|[\p{L}\p{N}!#$%&'*+/=?^_{|}~.-]{1,128})@(?:\[[0-9A-Fa-f:.IPv]{3,45}\]|[\p{L}\p{N}](?:[\p{L}\p{N}.-]{0,252}[\p{L}\p{N}])?)`)

// addresses returns the addresses in the text, each once, in their order.
func addresses(text string) []string {
	var found []string
	for _, address := range addressPattern.FindAllString(text, maxRecipients) {
		address = strings.TrimLeft(address, "'.=*")
		if _, scheme, ok := strings.Cut(address, "mailto:"); ok {
			address = scheme
		}
		if !strings.HasPrefix(address, "@") && !contains(found, address) {
			found = append(found, address)
		}
	}
	return found
}

// envelopeFields name the recipients of a mail, those of its envelope first.
var envelopeFields = []string{
	"Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Rcpt-To", "X-Apparently-To", "Apparently-To", "To", "Cc",
}

// sentTo returns the addresses that a mail came to, those of its envelope first.
func sentTo(h header) []string {
	var found []string
	for _, name := range envelopeFields {
		for _, value := range h.all(name) {
			found = add(found, addresses(value), nil)
		}
	}
	for _, value := range h.all("Received") {
		if _, to, ok := strings.Cut(value, " for <"); ok {
			to, _, _ = strings.Cut(to, ">")
			found = add(found, addresses(to), nil)
		}
	}
	return found
}

// add adds those of the addresses that are not there yet and are not to be left out.
func add(to, found, without []string) []string {
	for _, address := range found {
		if !contains(to, address) && !contains(without, address) && len(to) < maxRecipients {
			to = append(to, address)
		}
	}
	return to
}

// first returns the first address, "" if there is none.
func first(found []string) string {
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// common returns those of found that are also among the others.
func common(found, others []string) []string {
	var both []string
	for _, address := range found {
		if contains(others, address) {
			both = append(both, address)
		}
	}
	return both
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
