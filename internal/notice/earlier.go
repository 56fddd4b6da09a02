package notice

import (
	"reflect"
	"slices"
	"time"
)

// MostEarlier is how many earlier notices of its incident a mail shows.
const MostEarlier = 5

// Earlier is a notice of an incident as the mails of a later one show it.
type Earlier struct {
	At    time.Time       `json:"at"`    // the date of its mails
	Body  Body            `json:"body"`  // the fields that its texts are made with: see Shown
	Texts map[string]Text `json:"texts"` // a summary, per language
}

// Shown returns the fields of a body that its summary is made with.
func (b Body) Shown() Body {
	return Body{Key: b.Key, Kind: b.Kind, Phase: b.Phase, Severity: b.Severity, Parameters: b.Parameters, DefaultLanguage: b.DefaultLanguage, Zone: b.Zone}
}

// ShownIn returns which of the earlier notices of an incident the mails of a body may show, by number: those that went to its own audience, so
// that nobody reads mails that were for others. That is an audience which is the same, or which is that earlier notice. The notices, and the
// numbers, are in the order of their release, the last one first. An amendment has the audience of the notice that it stops, and does not show that.
func ShownIn(b Body, earlier []Body) (numbers []int) {
	audiences := []Audience{b.Audience}
	for i, e := range earlier {
		stopped := b.Amends != "" && e.Key == b.Amends
		same := slices.ContainsFunc(audiences, func(a Audience) bool {
			return reflect.DeepEqual(a, e.Audience) || a.Notice == e.Key && !a.IncludeNew
		})
		if stopped {
			audiences = append(audiences, e.Audience)
		} else if same && len(numbers) < MostEarlier {
			audiences, numbers = append(audiences, e.Audience), append(numbers, i)
		}
	}
	return numbers
}
