package notice

// Library is the ready texts that notices can be made of, and their languages.
type Library struct {
	Templates []LibraryTemplate // by name
	Languages []LibraryLanguage // by tag
}

// LibraryTemplate is a template of a notice.
type LibraryTemplate struct {
	Name   string
	Phases []string // that it has texts for
}

// LibraryLanguage is a language of the ready texts.
type LibraryLanguage struct {
	Tag    string
	Signed string // the reader who has signed it, and the day; "" = it is a draft
}
