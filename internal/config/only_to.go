package config

import (
	"strings"

	"tocsin/internal/audience"
	"tocsin/internal/yaml"
)

// keepOnlyTo keeps the patterns of the file, as the variable would have them. A list that is there and names nobody is
// left to the command that reads it. It is an error there: whether all are meant or none can't be told.
func (f *file) keepOnlyTo(v yaml.Value) error {
	text, err := "", error(nil)
	if v.Plain() {
		text, err = v.Text()
	} else {
		var patterns []string
		err = yaml.Texts(&patterns, `["*@example.net"]`)(v)
		text = strings.Join(patterns, ", ")
	}
	f.values["TOCSIN_ONLY_TO"] = value{name: "only_to", text: text, origin: v.Place()}
	return err
}

// onlyTo parses patterns of mailboxes.
func onlyTo(text string) (any, error) { return audience.ParseOnlyTo(list(text)) }
