package config

import (
	"errors"
	"time"

	"gopkg.in/yaml.v3"

	"tocsin/internal/notice"
)

// Hold is a planned time in which nothing leaves.
type Hold struct {
	From, Until time.Time
	Reason      string
}

func (f *file) keepHolds(n *yaml.Node) error {
	f.holdsGiven = true
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return notice.Invalid(f.at(n), "holds wants a list such as “- {from: 2026-11-09T21:00, until: 2026-11-10T00:00, reason: power feeds}”")
	}
	f.holds = n.Content
	return nil
}

// holds returns the planned holds of the file, nil where it does not speak of them. A hold without a zone is in
// the installation's.
func (r *reader) holds(zone string) []Hold {
	f := &r.s.file
	if !f.holdsGiven {
		return nil
	}
	holds := []Hold{}
	for _, n := range f.holds {
		h, err := f.hold(n, zone)
		if err != nil {
			r.add(err)
			continue
		}
		holds = append(holds, h)
	}
	return holds
}

func (f *file) hold(n *yaml.Node, zone string) (h Hold, err error) {
	if n.Kind != yaml.MappingNode {
		return h, notice.Invalid(f.at(n), "a hold is something like {from: 2026-11-09T21:00, until: 2026-11-10T00:00, zone: Europe/Amsterdam, reason: power feeds}")
	}
	var w notice.Window
	err = f.fields("a field of a hold", n, map[string]func(*yaml.Node) error{
		"from": f.into("from", &w.Start), "until": f.into("until", &w.End), "zone": f.into("zone", &w.Zone), "reason": f.into("reason", &h.Reason),
	})
	if err != nil {
		return h, err
	}
	if h.From, h.Until, err = w.Span(zone); err != nil {
		field, message := map[string]string{"start": "from", "end": "until"}, err.Error()
		if e, ok := errors.AsType[*notice.Error](err); ok {
			message = e.Message
			if name, ok := field[e.Field]; ok {
				message = name + " " + e.Message
			}
		}
		return h, notice.Invalid(f.at(n), "%s", message)
	}
	return h, nil
}
