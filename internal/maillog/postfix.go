package maillog

import (
	"encoding/json"
	"strings"
	"time"
)

// queueManagers and agents are the programs that handle a mail only once it has been taken.
var (
	queueManagers = map[string]bool{"qmgr": true, "nqmgr": true, "oqmgr": true}
	agents        = map[string]bool{"smtp": true, "lmtp": true, "local": true, "virtual": true, "pipe": true, "error": true, "discard": true}
)

// Why a mail may have been taken although the queue manager never had it.
const (
	doubtHeld      = "the relay put it on hold"
	doubtDiscarded = "the relay took and discarded it"
	doubtOrder     = "the lines of its queue id are out of order"
	doubtInstance  = "its queue id was used by two relays on one host"
)

// logged reads a line of Postfix.
func (l *Log) logged(s string, where func() string) {
	n, ok := l.clock.parse(s)
	if !ok {
		return
	}
	l.seen("Postfix on "+n.host, n.early, n.late, where)
	process := n.host + " " + n.pid
	if n.daemon == "smtpd" && strings.HasPrefix(n.text, "disconnect from ") {
		delete(l.tainted, process)
		return
	}
	queueID, text, ok := strings.Cut(n.text, ": ")
	if !ok {
		return
	}
	if queueID == "NOQUEUE" {
		// Decided at RCPT, before the mail has its queue id.
		if doubt := withheld(text); doubt != "" && n.daemon == "smtpd" {
			l.tainted[process] = doubt
		}
		return
	}
	if !isQueueID(queueID) {
		return
	}
	key := n.host + " " + queueID
	switch {
	case n.daemon == "smtpd" && strings.HasPrefix(text, "client="), n.daemon == "pickup" && strings.HasPrefix(text, "uid="):
		l.open(key, queueID, n, l.tainted[process])
	case n.daemon == "cleanup" && strings.HasPrefix(text, "message-id="):
		l.name(key, queueID, n, strings.TrimSpace(strings.TrimPrefix(text, "message-id=")))
	case queueManagers[n.daemon] && strings.HasPrefix(text, "from=<") && strings.HasSuffix(text, "(queue active)"):
		l.take(key, queueID, n, "queue active")
	case queueManagers[n.daemon] && text == "removed":
		delete(l.live, key)
	case queueManagers[n.daemon] || agents[n.daemon]:
		if status := strings.Index(text, ", status="); status >= 0 {
			l.take(key, queueID, n, text[status+2:])
		}
	default:
		if m := l.live[key]; m != nil && m.doubt == "" {
			m.doubt = withheld(text)
		}
	}
}

// withheld names the reason that keeps a taken mail from the queue manager; "" for none.
func withheld(text string) string {
	action, _, _ := strings.Cut(text, ":")
	switch action {
	case "hold", "milter-hold", "placed on hold":
		return doubtHeld
	case "discard", "milter-discard":
		return doubtDiscarded
	}
	return ""
}

// open begins a new use of a queue id: Postfix gives ids again, a second later at the earliest.
func (l *Log) open(key, queueID string, n line, doubt string) {
	if m := l.live[key]; m != nil && !m.client && m.id != "" && wall(m.opened) == wall(n.early) {
		// A log that was sorted by its seconds: the line belongs to the mail that was just named.
		m.client = true
		if doubt != "" {
			m.doubt = doubt
		}
		return
	}
	l.live[key] = &mail{queueID: queueID, instance: n.instance, opened: n.early, client: true, doubt: doubt}
}

// name gives a mail its Message-ID. The header has come; whether the rest will is not known.
func (l *Log) name(key, queueID string, n line, id string) {
	m := l.live[key]
	switch {
	case m == nil || m.id != "":
		m = &mail{queueID: queueID, opened: n.early}
	case m.taken:
		// Taken before it had a name: the line stands in the wrong place, or the one of the queue manager does.
		m = &mail{queueID: queueID, opened: n.early, doubt: doubtOrder}
	}
	m.id, m.instance = id, n.instance
	l.live[key] = m
	if list, ok := l.wanted[id]; ok {
		l.wanted[id] = append(list, m)
	}
}

// take notes that the mail that now has the queue id was taken.
func (l *Log) take(key, queueID string, n line, text string) {
	m := l.live[key]
	if m == nil {
		m = &mail{queueID: queueID, instance: n.instance, opened: n.early}
		l.live[key] = m
	}
	if m.id != "" && m.instance != n.instance {
		m.doubt = doubtInstance
		return
	}
	if !m.taken {
		m.taken, m.at = true, n.early
	}
	m.text = text
	if m.doubt == doubtHeld {
		m.doubt = "" // released since
	}
}

func isQueueID(s string) bool {
	if len(s) < 5 || len(s) > 40 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// kept reads a line of the sink's store: each is a mail that it took.
func (l *Log) kept(s []byte, name string, where func() string) {
	var m struct {
		At        time.Time `json:"at"`
		MessageID string    `json:"message_id"`
	}
	if err := json.Unmarshal(s, &m); err != nil || m.At.IsZero() {
		l.blemish(where() + " is no whole line of a sink's store")
		return
	}
	l.seen("tocsin sink, "+name, m.At, m.At, where)
	if list, ok := l.wanted[m.MessageID]; ok {
		l.wanted[m.MessageID] = append(list, &mail{id: m.MessageID, taken: true, at: m.At, text: "kept by the sink"})
	}
}
