package notice

import "time"

// Progress is how many mails of a notice relays took, in equal spans of time from its first mail to its last.
type Progress struct {
	From   time.Time
	Width  time.Duration // of each span; 0 = no mail was taken
	Relays []string      // by name
	Taken  [][]int       // in each span, by relay
}

// mostSpans is how many spans a Progress has at most, and spanWidths are their widths.
const mostSpans = 60

var spanWidths = [...]time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
	5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 12 * time.Hour}

// NewProgress returns an empty Progress over that time.
func NewProgress(first, last time.Time) Progress {
	p := Progress{From: first}
	for _, p.Width = range spanWidths {
		if last.Sub(first)/p.Width < mostSpans {
			break
		}
	}
	for last.Sub(first)/p.Width >= mostSpans {
		p.Width *= 2
	}
	p.Taken = make([][]int, max(0, last.Sub(first))/p.Width+1)
	return p
}

// Add counts mails that a relay took, in a span by its number. A span beyond the last is the last one.
func (p *Progress) Add(span int, relay string, n int) {
	at := -1
	for i, name := range p.Relays {
		if name == relay {
			at = i
		}
	}
	if at < 0 {
		at, p.Relays = len(p.Relays), append(p.Relays, relay)
	}
	span = min(max(span, 0), len(p.Taken)-1)
	for len(p.Taken[span]) <= at {
		p.Taken[span] = append(p.Taken[span], 0)
	}
	p.Taken[span][at] += n
}

// DomainProgress is how many mails of a notice go to a recipient domain, and how many of them left.
type DomainProgress struct {
	Domain      string // "" = of erased mailboxes
	Mails, Left int
}
