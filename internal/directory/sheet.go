package directory

import (
	"bytes"
	"maps"
	"strings"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// Sheet is notice.yaml as it is written, right or wrong, for a form. A list of customers is the name of its file, and
// a filter keeps those that it names. A field that is absent, or says nothing, is zero.
type Sheet struct {
	// Plain are the fields of one plain value, by name.
	Plain map[string]string

	Parameters map[string]notice.Parameter
	Details    notice.Parameter
	Phrases    []notice.Phrase
	Audience   Aim
	Windows    []notice.Window
	Was        []notice.Window
	Remind     []string

	BrokenDomains []string
	Broken        notice.Broken

	// Unread are the fields with a value of another shape than the form has, by name. They stay as they are written.
	Unread map[string]bool
	// Whole says that the file can't be read, so that nothing of it is here.
	Whole error
}

// Aim is an audience as it is written.
type Aim struct {
	Filter    string // notice.Everybody for all customers
	Customers string // the file of a list
	Notice    string
	New       bool
	State     []string
	Contact   string
}

// plainFields are the fields of one plain value.
var plainFields = []string{"key", "incident", "amends", "kind", "phase", "severity", "template", "audience_at", "max_recipients", "canary", "default_language",
	"stacked", "zone", "calendar_impact", "calendar_object", "calendar_method", "reply_to", "send_at", "expires_at"}

// sheetFields are the fields of a notice in the order in which a new one is put into its file.
var sheetFields = []string{"key", "incident", "amends", "kind", "phase", "severity", "template", "parameters", "details", "phrases", "audience", "audience_at",
	"max_recipients", "canary", "default_language", "stacked", "broken_domains", "broken", "zone", "windows", "was", "remind", "calendar_impact",
	"calendar_object", "calendar_method", "reply_to", "send_at", "expires_at"}

// ReadSheet reads notice.yaml for a form.
func ReadSheet(text []byte) (s Sheet) {
	s = Sheet{Plain: map[string]string{}, Unread: map[string]bool{}}
	v, err := yaml.Read(manifest, text)
	if err != nil {
		s.Whole = err
		return s
	}
	fields := yaml.Fields{
		"parameters":     readParameters(&s.Parameters),
		"details":        readParameter(&s.Details),
		"phrases":        readPhrases(&s.Phrases),
		"audience":       s.Audience.read,
		"windows":        writtenWindows(&s.Windows),
		"was":            writtenWindows(&s.Was),
		"remind":         yaml.Texts(&s.Remind, "[1h]"),
		"broken_domains": yaml.Texts(&s.BrokenDomains, "[a]"),
		"broken":         readBrokenAsWritten(&s.Broken),
	}
	for _, name := range plainFields {
		fields[name] = func(v yaml.Value) error {
			text, err := v.Text()
			s.Plain[name] = text
			return err
		}
	}
	s.Whole = v.Each("fields", func(_, val yaml.Value) error {
		if read, known := fields[val.Name()]; known && read(val) != nil {
			s.Unread[val.Name()] = true
		}
		return nil
	})
	return s
}

// read reads an audience as it is written.
func (a *Aim) read(v yaml.Value) (err error) {
	if v.Plain() {
		a.Filter, err = v.Text()
		return err
	}
	return v.Fields("field of an audience", "a mapping", yaml.Fields{
		"filter": yaml.Text(&a.Filter), "customers": yaml.Text(&a.Customers), "notice": yaml.Text(&a.Notice), "include_new": yaml.Flag(&a.New),
		"contact": yaml.Text(&a.Contact),
		"state": func(v yaml.Value) error {
			if !v.Plain() {
				return yaml.Texts(&a.State, "[failed]")(v)
			}
			text, err := v.Text()
			if text != "" {
				a.State = []string{text}
			}
			return err
		},
	})
}

// writtenWindows reads windows, complete or not.
func writtenWindows(to *[]notice.Window) func(yaml.Value) error {
	return func(v yaml.Value) error {
		return v.List("[]", func(item yaml.Value) error {
			var w notice.Window
			err := item.Fields("field of a window", "a window", yaml.Fields{"start": yaml.Text(&w.Start), "end": yaml.Text(&w.End), "zone": yaml.Text(&w.Zone)})
			*to = append(*to, w)
			return err
		})
	}
}

func readBrokenAsWritten(to *notice.Broken) func(yaml.Value) error {
	return func(v yaml.Value) error {
		return v.Fields("field of broken", "a mapping", yaml.Fields{"domains": yaml.Texts(&to.Domains, "[a]"), "filter": yaml.Text(&to.Filter)})
	}
}

// Clone returns a sheet that shares nothing with s that is changed in place.
func (s Sheet) Clone() Sheet {
	s.Plain, s.Parameters, s.Details.ByLanguage = maps.Clone(s.Plain), maps.Clone(s.Parameters), maps.Clone(s.Details.ByLanguage)
	return s
}

// Put returns notice.yaml with the fields in which s differs from it. All else stays as it is written, byte for byte.
// The error is a *notice.Error where the file's form does not let its fields be changed one by one.
func (s Sheet) Put(text []byte) ([]byte, error) {
	was := ReadSheet(text)
	if was.Whole != nil {
		return text, nil
	}
	for _, name := range sheetFields {
		lines := s.lines(name)
		if was.Unread[name] || lines == was.lines(name) {
			continue
		}
		changed, err := yaml.Put(text, name, lines, sheetFields)
		if err != nil {
			return text, notice.Invalid(manifest, "is written in a form that no form can change: change it as a file")
		}
		text = changed
	}
	return text, nil
}

// FieldAt returns the field of a notice.yaml that a line, from 1, belongs to; "" where it belongs to none.
func FieldAt(text []byte, line int) (name string) {
	v, err := yaml.Read(manifest, text)
	if err != nil {
		return ""
	}
	first := 0
	for _, field := range sheetFields {
		if _, at := v.Find(field); at > first && at <= line {
			first, name = at, field
		}
	}
	return name
}

// plainText is a text without the blanks around it, with line feeds alone.
func plainText(text string) string {
	return strings.TrimSpace(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text))
}

// lines are the lines of a field in notice.yaml, none where it says nothing.
func (s Sheet) lines(name string) string {
	var b bytes.Buffer
	w := writer{&b}
	switch name {
	case "parameters":
		w.parameters(name, "", s.Parameters)
	case "details":
		w.parameter(name, "", s.Details)
	case "phrases":
		w.phrases(s.Phrases)
	case "audience":
		w.aim(s.Audience)
	case "windows":
		w.windows(name, s.Windows)
	case "was":
		w.windows(name, s.Was)
	case "remind":
		w.list(name, "", s.Remind)
	case "broken_domains":
		w.list(name, "", s.BrokenDomains)
	case "broken":
		if domains, filter := filled(s.Broken.Domains), plainText(s.Broken.Filter); len(domains) > 0 || filter != "" {
			b.WriteString("broken:\n")
			w.list("domains", "  ", domains)
			w.plain("filter", "  ", filter)
		}
	default:
		w.plain(name, "", s.Plain[name])
	}
	return b.String()
}
