package notice

import (
	"bytes"
	"encoding/json"
)

// Parameter is the value of a parameter of a notice's texts: one for every language, or one for each. In JSON
// it is a string, or an object of values by language (BCP 47).
type Parameter struct {
	Text       string
	ByLanguage map[string]string
}

// Values returns all values of the parameter, by language; under "" that of every language.
func (p Parameter) Values() map[string]string {
	if p.ByLanguage != nil {
		return p.ByLanguage
	}
	return map[string]string{"": p.Text}
}

// Phrase is a sentence that ready texts have in every language, such as cause.power, and the values of its slots.
type Phrase struct {
	Name   string               `json:"name"`
	Values map[string]Parameter `json:"values,omitempty"`
}

// IsZero reports whether nothing is given.
func (p Parameter) IsZero() bool { return p.Text == "" && len(p.ByLanguage) == 0 }

// MarshalJSON writes a string where there is one value.
func (p Parameter) MarshalJSON() ([]byte, error) {
	if p.ByLanguage != nil {
		return json.Marshal(p.ByLanguage)
	}
	return json.Marshal(p.Text)
}

// UnmarshalJSON reads both forms.
func (p *Parameter) UnmarshalJSON(text []byte) error {
	*p = Parameter{}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return json.Unmarshal(text, &p.ByLanguage)
	}
	return json.Unmarshal(text, &p.Text)
}
