package config

import (
	"errors"
	"strconv"

	"golang.org/x/net/idna"
	"gopkg.in/yaml.v3"

	"tocsin/internal/notice"
)

// Limit is what a recipient domain is to be spared, by all workers together.
type Limit struct {
	Domain      string // A-label, lower case
	Rate        notice.Rate
	Connections int // mails to it under way at once; 0 = no limit
}

// mostConnections bounds what can be set, for a relay or a domain.
const mostConnections = 1000

func (f *file) keepLimits(n *yaml.Node) error {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return notice.Invalid(f.at(n), "limits wants a list such as “- {domain: gmail.com, rate: 20/s, connections: 8}”")
	}
	var errs []error
	lines := map[string]int{}
	for _, item := range n.Content {
		l, err := f.limit(item)
		errs = append(errs, err)
		if err != nil {
			continue
		}
		if line, again := lines[l.Domain]; again {
			errs = append(errs, notice.Invalid(f.at(item), "line %d limits %s already", line, l.Domain))
		}
		lines[l.Domain] = item.Line
		f.limits = append(f.limits, l)
	}
	return errors.Join(errs...)
}

func (f *file) limit(n *yaml.Node) (l Limit, err error) {
	if n.Kind != yaml.MappingNode {
		return l, notice.Invalid(f.at(n), "a limit is something like {domain: gmail.com, rate: 20/s, connections: 8}")
	}
	err = f.fields("a field of a limit", n, map[string]func(*yaml.Node) error{
		"domain": func(n *yaml.Node) error {
			text, err := f.scalar("domain", n)
			if err != nil {
				return err
			}
			if l.Domain, err = idna.Lookup.ToASCII(text); err != nil || l.Domain == "" {
				return notice.Invalid(f.at(n), "domain: %q is not a domain such as gmail.com", text)
			}
			return nil
		},
		"rate":        f.rate(&l.Rate),
		"connections": f.connections(&l.Connections),
	})
	switch {
	case err != nil:
		return l, err
	case l.Domain == "":
		return l, notice.Invalid(f.at(n), "the limit names no domain; it is something like gmail.com")
	case l.Rate == 0 && l.Connections == 0:
		return l, notice.Invalid(f.at(n), "the limit of %s has neither a rate nor connections", l.Domain)
	}
	return l, nil
}

func (f *file) rate(to *notice.Rate) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		text, err := f.scalar("rate", n)
		if err != nil {
			return err
		}
		if *to, err = notice.ParseRate(text); err != nil {
			return notice.Invalid(f.at(n), "rate: %v", err)
		}
		return nil
	}
}

func (f *file) connections(to *int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		text, err := f.scalar("connections", n)
		if err != nil {
			return err
		}
		if *to, err = strconv.Atoi(text); err != nil || *to < 1 || *to > mostConnections {
			return notice.Invalid(f.at(n), "connections: %q is not a whole number from 1 to %d", text, mostConnections)
		}
		return nil
	}
}
