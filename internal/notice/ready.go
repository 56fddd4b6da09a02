package notice

// Ready are the ready texts that a notice may name.
type Ready struct {
	Templates []ReadyTemplate // by name
	Phrases   []ReadyPhrase   // by name
}

// ReadyTemplate is a template of a notice.
type ReadyTemplate struct {
	Name     string
	Phases   []string          // that it has texts for
	Required map[string]string // parameters, with an example of each
	Optional map[string]string
}

// ReadyPhrase is a sentence for ready texts.
type ReadyPhrase struct {
	Name  string
	Text  string   // in the language asked for, else in English; with slots such as {time}
	Slots []string // that a notice gives a value for
}
