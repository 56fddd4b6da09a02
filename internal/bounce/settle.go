package bounce

import (
	"regexp"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// messageID is a Message-ID in angle brackets.
var messageID = regexp.MustCompile(`<[^<>\s]{1,250}>`)

// about finds the Message-ID of the mail that m is about. It looks in the returned header, else among those that m
// answers, else in the words.
func (m *Mail) about(l *letter) {
	if id := strings.TrimSpace(l.returned.get("Message-ID")); id != "" {
		if m.MessageID = messageID.FindString(id); m.MessageID == "" && !strings.ContainsAny(id, "<> \t") {
			m.MessageID = "<" + id + ">" // written without brackets
		}
		return
	}
	if m.MessageID = messageID.FindString(l.header.get("In-Reply-To")); m.MessageID != "" {
		return
	}
	if ids := messageID.FindAllString(l.header.get("References"), 50); len(ids) > 0 {
		m.MessageID = ids[len(ids)-1]
		return
	}
	if _, after, ok := strings.Cut(fold(l.words), "message-id:"); ok {
		m.MessageID = messageID.FindString(cut(after, 300))
	}
}

// settle completes each recipient of a bounce, and gives the mail the worst of their fates.
func (m *Mail) settle(l *letter) {
	if m.Kind != Bounce && m.Kind != Delay {
		return
	}
	worst := Other
	known := map[said]notice.BounceClass{}
	for i := range m.Recipients {
		r := &m.Recipients[i]
		if r.Status == "" || strings.HasSuffix(r.Status, ".0.0") || strings.HasSuffix(r.Status, ".4.7") {
			if own := findStatus(r.Diagnostic); own != "" && (r.Status == "" || own[0] == r.Status[0] || r.Status[2:] == "0.0") {
				r.Status = own
			}
		}
		if reply := replyPattern.FindStringSubmatch(r.Diagnostic); reply != nil {
			r.Code, _ = strconv.Atoi(reply[1])
		}
		if r.Action == "" {
			r.Action = m.guess(r, l)
		}
		switch r.Action {
		case Failed:
			worst = Bounce
		case Delayed:
			if worst != Bounce {
				worst = Delay
			}
		default:
			if worst == Other {
				worst = Delivery
			}
			continue
		}
		around := m.wordsAbout(r, l)
		all := said{r.Action, r.Status, r.Code, r.Diagnostic, r.comment, strings.Join(around, "\n")}
		if _, ok := known[all]; !ok {
			known[all] = classify(r, around)
		}
		r.Class = known[all]
	}
	m.Kind = worst
}

// said is all that the class of a recipient depends on. A search for it in words takes some milliseconds, and a report
// may say the same of a hundred recipients.
type said struct {
	action      Action
	status      string
	code        int
	words, note string
	around      string
}

// guess returns the action where a report names none.
func (m *Mail) guess(r *Recipient, l *letter) Action {
	switch {
	case strings.HasPrefix(r.Status, "2"):
		return Delivered
	case strings.HasPrefix(r.Status, "4") && delayPattern.in(fold(l.header.get("Subject"))):
		return Delayed
	}
	return Failed
}

// wordsAbout returns the words about a recipient, the nearest first: those from where it is named, then all. With
// several recipients the rest is about others.
func (m *Mail) wordsAbout(r *Recipient, l *letter) []string {
	var all []string
	for _, each := range m.Recipients {
		all = append(all, each.Final)
	}
	near := passage(l.words, r.Final, all)
	if len(all) > 1 {
		return []string{near}
	}
	return []string{near, l.words}
}

// classify says why a recipient did not get the mail. The words are asked first: the codes of many systems are general
// or wrong. Those of the reply go before the status, and that before the words around it.
func classify(r *Recipient, around []string) notice.BounceClass {
	reply := fold(r.Diagnostic + " " + r.comment)
	class := find(certain, reply)
	if class == "" {
		class = byStatus(r.Status)
	}
	for _, words := range around {
		if class == "" {
			class = find(certain, fold(words))
		}
	}
	if class == "" {
		class = find(hints, reply)
	}
	command := strings.ToLower(commandPattern.FindString(strings.Join(around, "\n")))
	final := r.Code >= 500 || r.Code == 0 && strings.HasPrefix(r.Status, "5")
	temporary := !final && (r.Code >= 400 || strings.HasPrefix(r.Status, "4"))
	switch {
	case class == notice.BounceNoMailbox && temporary: // a name server may be wrong today
		return notice.BounceTransient
	case class == notice.BounceNoMailbox && strings.HasSuffix(command, "data") && !strings.HasPrefix(r.Status, "5.1") && onlyUnknown.in(reply):
		return notice.BounceOther // the recipient was accepted: a filter behind it pretends that it is unknown
	case command != "" && !strings.HasSuffix(command, "data") && final:
		return notice.BouncePolicy // it was refused before anybody was named
	case class != "":
		return class
	case temporary || r.Action == Delayed:
		return notice.BounceTransient
	}
	return notice.BounceOther
}

var (
	// commandPattern is how mail systems say that something else than RCPT was refused.
	commandPattern = regexp.MustCompile(`(?i)(?:in\s+reply\s+to\s+(?:end\s+of\s+)?|server after |did not like our (?:final )?|>>> )(?:mail|[he][eh]lo|data)\b|but (?:my name|sender|greeting) |refused to talk to me`)
	// onlyUnknown is a reply that says that a user is unknown, and nothing more.
	onlyUnknown = phrases(`^[\W\d]*(smtp\b)?[\W\d]*(unknown user|user unknown)\W*$`)
)

// byStatus returns the class of an enhanced status code that means one thing (RFC 3463 and the registry that RFC 5248 set up).
func byStatus(status string) notice.BounceClass {
	if status == "" {
		return ""
	}
	switch detail := status[2:]; detail {
	case "1.1", "1.2", "1.3", "1.4", "1.6":
		return notice.BounceNoMailbox
	case "2.2":
		return notice.BounceFull
	case "1.7", "1.8", "1.9", "6.0", "6.1", "6.2":
		return notice.BouncePolicy
	case "2.1":
		return notice.BounceOther
	case "4.4":
		if status[0] == '5' { // no route, and none to be hoped for
			return notice.BounceOther
		}
		return notice.BounceTransient
	default:
		if strings.HasPrefix(detail, "7.") {
			return notice.BouncePolicy
		}
		if strings.HasPrefix(detail, "4.") {
			return notice.BounceTransient
		}
	}
	return ""
}
