package bounce

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// statusPattern is an enhanced status code (RFC 3463), which is no part of an IP address or a version.
var statusPattern = regexp.MustCompile(`(?:^|[^\d.])([245]\.[0-7]\.\d{1,3})(?:$|[^\d.]|\.(?:$|\D))`)

// recipientField names a recipient of a report, at the beginning of a line.
var recipientField = regexp.MustCompile(`(?im)^[ \t]*(?:final|original)-recipient[ \t]*:`)

// readStatus reads the fields of a message/delivery-status (RFC 3464 §2), or of text that holds them. It tells blocks
// apart by the fields and not by blank lines alone. Some systems leave these out, or put them in the midst of a block.
func (m *Mail) readStatus(text string) {
	var all header
	for rest := []byte(text); len(rest) > 0 && len(all) < maxFields; {
		rest = bytes.TrimLeft(rest, "\n")
		h, after := readHeader(rest)
		if len(after) == len(rest) { // a line of something else
			_, after, _ = bytes.Cut(after, []byte("\n"))
		}
		all, rest = append(all, h...), after
	}
	m.ReportingMTA = typed(all.get("Reporting-MTA"))
	m.EnvelopeID = all.get("Original-Envelope-Id")
	m.Arrival = date(all.get("Arrival-Date"))
	var r *Recipient
	seen := map[string]bool{}
	for _, f := range all {
		name := strings.ToLower(f.name)
		switch name {
		case "final-recipient", "original-recipient", "action", "status", "diagnostic-code", "remote-mta", "last-attempt-date":
		default:
			continue
		}
		if r == nil || seen[name] && strings.HasSuffix(name, "-recipient") || seen[name] && name == "action" {
			if len(m.Recipients) == maxRecipients {
				return
			}
			m.Recipients = append(m.Recipients, Recipient{})
			r = &m.Recipients[len(m.Recipients)-1]
			clear(seen)
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		r.set(name, decodeWords(f.value))
	}
}

// set takes a field of a report into the recipient.
func (r *Recipient) set(name, value string) {
	switch name {
	case "final-recipient":
		r.Final = reported(value)
	case "original-recipient":
		r.Original = reported(value)
	case "action":
		r.Action = action(value)
	case "status":
		r.Status = findStatus(value)
		if _, comment, ok := strings.Cut(value, "("); ok {
			r.comment = strings.TrimSuffix(comment, ")")
		}
	case "diagnostic-code":
		r.Diagnostic = cutText(typed(value), maxDiagnostic)
	case "remote-mta":
		r.RemoteMTA = typed(value)
	case "last-attempt-date":
		r.At = date(value)
	}
}

// action returns the action that a word stands for. Some systems have words of their own.
func action(word string) Action {
	word, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(word)), " ")
	switch a := Action(strings.TrimRight(word, ";,.")); a {
	case Failed, Delayed, Relayed, Expanded:
		return a
	case Delivered, "deliverable":
		return Delivered
	case "expired", "error", "fail", "failure", "undeliverable":
		return Failed
	}
	return ""
}

// findStatus returns the first enhanced status code in the text, "" if there is none.
func findStatus(text string) string {
	if m := statusPattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// typed returns the value of a field that may say its type first, such as "dns; mx.example.net".
func typed(value string) string {
	if kind, rest, ok := strings.Cut(value, ";"); ok && !strings.ContainsAny(strings.TrimSpace(kind), " \t@.:") {
		value = rest
	}
	return strings.TrimSpace(value)
}

// escapedRune is a character of an address as RFC 6533 §3 writes it where only ASCII may be used.
var escapedRune = regexp.MustCompile(`\\x\{([0-9A-Fa-f]{2,6})\}`)

// reported returns the address of a Final-Recipient or an Original-Recipient.
func reported(value string) string {
	value = escapedRune.ReplaceAllStringFunc(typed(value), func(escape string) string {
		n, err := strconv.ParseInt(escape[3:len(escape)-1], 16, 32)
		if err != nil {
			return escape
		}
		return string(rune(n))
	})
	if address := first(addresses(value)); address != "" {
		return address
	}
	return cutText(strings.Trim(strings.TrimSpace(value), "<>"), 254)
}

// dateComment is a comment such as "(JST)".
var dateComment = regexp.MustCompile(`\s*\([^)]*\)`)

// date reads a date of RFC 5322 as it is found in the wild; the zero time if it can't be read.
func date(value string) time.Time {
	value = strings.Join(strings.Fields(dateComment.ReplaceAllString(value, "")), " ")
	if _, rest, ok := strings.Cut(value, ", "); ok {
		value = rest
	}
	for _, layout := range []string{"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST", "2 Jan 06 15:04:05 -0700", "2 Jan 2006 15:04 -0700", time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
