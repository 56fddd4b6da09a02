package config

import (
	"strconv"

	"golang.org/x/net/idna"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// Limit bounds the mails to a recipient domain, of all workers together.
type Limit struct {
	Domain      string // A-label, lower case
	Rate        notice.Rate
	Connections int // mails to it under way at once; 0 = no limit
}

func (f *file) keepLimits(v yaml.Value) error {
	lines := map[string]int{}
	return v.List("[{domain: gmail.com, rate: 20/s, connections: 8}]", func(item yaml.Value) error {
		l, err := limit(item)
		if err != nil {
			return err
		}
		if line, again := lines[l.Domain]; again {
			err = item.Wrong("line %d limits %s already", line, l.Domain)
		}
		lines[l.Domain] = item.Line()
		f.limits = append(f.limits, l)
		return err
	})
}

func limit(v yaml.Value) (l Limit, err error) {
	err = v.Fields("field of a limit", "a limit such as {domain: gmail.com, rate: 20/s, connections: 8}", limitFields(&l))
	switch {
	case err != nil:
		return l, err
	case l.Domain == "":
		return l, v.Wrong("the limit names no domain; it is something like gmail.com")
	case l.Rate == 0 && l.Connections == 0:
		return l, v.Wrong("the limit of %s has neither a rate nor connections", l.Domain)
	}
	return l, nil
}

// limitFields are the fields of a limit.
func limitFields(l *Limit) yaml.Fields {
	return yaml.Fields{
		"domain": func(v yaml.Value) error {
			text, err := v.Text()
			if err != nil {
				return err
			}
			if l.Domain, err = idna.Lookup.ToASCII(text); err != nil || l.Domain == "" {
				return v.Wrong("domain: %q is not a domain such as gmail.com", text)
			}
			return nil
		},
		"rate":        rate(&l.Rate),
		"connections": connections(&l.Connections),
	}
}

func rate(to *notice.Rate) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil {
			return err
		}
		if *to, err = notice.ParseRate(text); err != nil {
			return v.Wrong("rate: %v", err)
		}
		return nil
	}
}

func connections(to *int) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil {
			return err
		}
		if *to, err = strconv.Atoi(text); err != nil || *to < 1 || *to > notice.MostConnections {
			return v.Wrong("connections: %q is not a whole number from 1 to %d", text, notice.MostConnections)
		}
		return nil
	}
}
