package maillog

import (
	"strings"
	"time"
)

// line is one line of a syslog.
type line struct {
	early, late time.Time // the same, but for a local time that the clocks had twice
	host        string
	instance    string // "postfix" of postfix/submission/smtpd[12]
	daemon      string // "smtpd"
	pid         string
	text        string
}

// daemons are programs of Postfix: a line of one shows that its log was being written.
var daemons = map[string]bool{
	"anvil": true, "bounce": true, "cleanup": true, "discard": true, "dnsblog": true, "error": true, "flush": true, "lmtp": true,
	"local": true, "master": true, "nqmgr": true, "oqmgr": true, "pickup": true, "pipe": true, "postfix-script": true,
	"postlog": true, "postlogd": true, "postqueue": true, "postscreen": true, "postsuper": true, "proxymap": true, "qmgr": true,
	"scache": true, "sendmail": true, "showq": true, "smtp": true, "smtpd": true, "tlsmgr": true, "tlsproxy": true,
	"trivial-rewrite": true, "verify": true, "virtual": true,
}

// parse reads a line of Postfix: "Nov  9 03:14:07 mx1 postfix/qmgr[812]: text", or with an ISO 8601 time.
// ok is false for lines of others.
func (c clock) parse(s string) (l line, ok bool) {
	s = strings.TrimRight(s, "\r\n")
	stamp, rest, ok := cutStamp(s)
	if !ok {
		return l, false
	}
	l.host, rest, ok = strings.Cut(strings.TrimLeft(rest, " "), " ")
	if !ok {
		return l, false
	}
	tag, text, ok := strings.Cut(rest, ": ")
	if !ok || strings.Contains(tag, " ") {
		return l, false
	}
	l.text = text
	tag, l.pid, _ = strings.Cut(strings.TrimSuffix(tag, "]"), "[")
	slash := strings.LastIndexByte(tag, '/')
	if slash < 0 {
		return l, false
	}
	l.daemon = tag[slash+1:]
	l.instance, _, _ = strings.Cut(tag, "/")
	if !daemons[l.daemon] {
		return l, false
	}
	l.early, l.late, ok = c.time(stamp)
	return l, ok
}

// cutStamp cuts the time off a line. Those of RFC 3164 hold spaces: 15 characters and perhaps a fraction.
func cutStamp(s string) (stamp, rest string, ok bool) {
	const old = len(time.Stamp)
	if len(s) <= old {
		return "", "", false
	}
	if s[0] >= '0' && s[0] <= '9' {
		return strings.Cut(s, " ")
	}
	end := strings.IndexByte(s[old:], ' ')
	if end < 0 || end > 0 && s[old] != '.' {
		return "", "", false
	}
	return s[:old+end], s[old+end:], true
}

// clock reads the times of a log.
type clock struct {
	zone *time.Location
	now  time.Time
}

// time reads a time. Where its wall clock showed it twice it returns both instants.
func (c clock) time(stamp string) (early, late time.Time, ok bool) {
	var t time.Time
	var err error
	if stamp[0] < '0' || stamp[0] > '9' {
		if t, ok = c.guessYear(stamp); !ok {
			return t, t, false
		}
	} else {
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
			if t, err = time.Parse(layout, stamp); err == nil {
				return t, t, true
			}
		}
		if t, err = time.ParseInLocation("2006-01-02T15:04:05", stamp, c.zone); err != nil {
			return t, t, false
		}
	}
	early, late = t, t
	for _, shift := range []time.Duration{-time.Hour, -time.Hour / 2, time.Hour / 2, time.Hour} {
		other := t.Add(shift)
		if wall(other) != wall(t) {
			continue
		}
		if shift < 0 {
			early = other
		} else {
			late = other
		}
		break
	}
	return early, late, true
}

func wall(t time.Time) string { return t.Format(time.DateTime) }

// guessYear reads a time without a year as the last such time up to now. It includes a day of grace: zones differ, and
// so do clocks.
func (c clock) guessYear(stamp string) (time.Time, bool) {
	t, err := time.Parse(time.Stamp, stamp)
	if err != nil {
		return t, false
	}
	limit := c.now.Add(24 * time.Hour)
	for year := limit.In(c.zone).Year(); year > limit.Year()-9; year-- { // 29 February comes at least every eight years
		at := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), c.zone)
		if at.Day() == t.Day() && !at.After(limit) {
			return at, true
		}
	}
	return t, false
}
