package audience

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// ParseOnlyTo reads patterns of mailboxes. A pattern is an address: * before the @ stands for any run of characters,
// and *. before the domain for all domains below it. Patterns follow the rules of address keys. Capitals and the
// spelling of an international domain do not matter, and a +tag is a part of the mailbox. The result is sorted. The
// error names the pattern and one that would be right.
func ParseOnlyTo(patterns []string) (notice.OnlyTo, error) {
	if len(patterns) == 0 {
		return nil, errors.New("names no mailbox; it is something like *@example.net, or not set where mails go to everybody")
	}
	var all notice.OnlyTo
	for _, text := range patterns {
		pattern, err := onlyToPattern(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("has the pattern %q, which %w", text, err)
		}
		all = append(all, pattern)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func onlyToPattern(text string) (string, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 0 && text != "" {
		domain := strings.TrimLeft(text, "*.")
		if _, reason := domainKey(domain); reason != "" {
			domain = "example.net"
		}
		return "", fmt.Errorf("has no @: write *@%s for all mailboxes of that domain", domain)
	}
	local, domain := text[:max(at, 0)], text[at+1:]
	domain, below := strings.CutPrefix(domain, "*.")
	if strings.Contains(domain, "*") {
		return "", errors.New("has a * in its domain that does not stand for whole labels at the start: write *@*.example.net")
	}
	a, err := ParseAddress(local + "@" + domain)
	if err != nil {
		if e, ok := errors.AsType[*notice.Error](err); ok {
			err = errors.New(e.Message)
		}
		return "", err
	}
	if below {
		return a.localKey() + "@*." + a.Domain, nil
	}
	return a.Key(), nil
}
