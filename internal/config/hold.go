package config

import (
	"errors"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// Hold is a planned time in which nothing leaves.
type Hold struct {
	From, Until time.Time
	Reason      string
}

func (f *file) keepHolds(v yaml.Value) error {
	f.holdsGiven = true
	return v.List("[{from: 2026-11-09T21:00, until: 2026-11-10T00:00, reason: power feeds}]", func(item yaml.Value) error {
		f.holds = append(f.holds, item)
		return nil
	})
}

// holds returns the planned holds of the file, nil where it does not speak of them. A hold without a zone is in
// the installation's.
func (r *reader) holds() []Hold {
	f := &r.s.file
	if !f.holdsGiven {
		return nil
	}
	zone := ""
	if v, ok := r.s.lookup("TOCSIN_ZONE"); ok && isZone(v.text) == nil {
		zone = v.text
	}
	holds := []Hold{}
	for _, v := range f.holds {
		h, err := hold(v, zone)
		if err != nil {
			r.add(err)
			continue
		}
		holds = append(holds, h)
	}
	return holds
}

func hold(v yaml.Value, zone string) (h Hold, err error) {
	const like = "a hold such as {from: 2026-11-09T21:00, until: 2026-11-10T00:00, zone: Europe/Amsterdam, reason: power feeds}"
	var w notice.Window
	if err = v.Fields("field of a hold", like, holdFields(&h, &w)); err != nil {
		return h, err
	}
	if h.From, h.Until, err = w.Span(zone); err == nil {
		err = w.CheckClock(zone)
	}
	if err != nil {
		field, message := map[string]string{"start": "from", "end": "until"}, err.Error()
		if e, ok := errors.AsType[*notice.Error](err); ok {
			message = e.Message
			if name, ok := field[e.Field]; ok {
				message = name + " " + e.Message
			}
		}
		return h, v.Wrong("%s", message)
	}
	return h, nil
}

// holdFields are the fields of a hold; w takes its times.
func holdFields(h *Hold, w *notice.Window) yaml.Fields {
	return yaml.Fields{
		"from": yaml.Text(&w.Start), "until": yaml.Text(&w.End), "zone": yaml.Text(&w.Zone), "reason": yaml.Text(&h.Reason),
	}
}
