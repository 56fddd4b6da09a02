package render

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// Check looks through all languages, templates and layouts and returns their mistakes, in the order of their names. It
// finds sentences that a language lacks, languages that a phase lacks, phases without a text, fields that can't exist,
// and mails that would have a hole. Each is an *notice.Error with a file as its Field, with the line if that is at
// fault. It also returns the number of texts that it looked at.
func (s *Set) Check() (texts int, problems []error) {
	if s.layoutErr != nil {
		return 0, []error{s.layoutErr} // without a layout there is no mail to try the texts with
	}
	if err := s.languages.readAll(); err != nil {
		return 0, []error{err}
	}
	problems = s.checkLanguages()
	all, seen := s.templates(), map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		n, p := s.checkTemplate(all[name], name)
		texts += n
		for _, problem := range p {
			if text := problem.Error(); !seen[text] { // a part of many texts is named once
				seen[text] = true
				problems = append(problems, problem)
			}
		}
	}
	return texts, problems
}

func (s *Set) checkTemplate(from fs.FS, name string) (texts int, problems []error) {
	m, err := readManifest(from, name)
	if err != nil {
		return 0, []error{err}
	}
	found := phasesOf(from, name)
	phases := m.Phases
	for _, phase := range found {
		switch {
		case kindOf(phase) == "":
			problems = append(problems, notice.Invalid(path.Join(name, phase), "is named after no phase of a notice"))
		case len(m.Phases) > 0 && !slices.Contains(m.Phases, phase):
			problems = append(problems, notice.Invalid(path.Join(name, phase), "is no phase of %s", path.Join(name, manifestName)))
		case len(m.Phases) == 0:
			phases = append(phases, phase)
		}
	}
	if own, _ := fs.Glob(from, name+"/*.md"); len(m.Phases) == 0 && len(own) > 0 {
		phases = anyPhase()
	}
	if len(phases) == 0 {
		return 0, append(problems, notice.Invalid(name, "has no text"))
	}
	texts, more := s.checkPhases(folder{manifest: m, name: name, from: from}, phases)
	return texts, append(problems, more...)
}

// anyPhase is every phase, for a template with texts for any of them.
func anyPhase() []string {
	return append(slices.Clone(notice.Phases[notice.Maintenance]), notice.Phases[notice.Outage]...)
}

func (s *Set) checkPhases(t folder, phases []string) (texts int, problems []error) {
	files := map[string]map[string]textFile{} // by folder and language
	languages := map[string]string{}          // and a file that is in it
	for _, phase := range phases {
		found, err := s.template(t.name, phase)
		if err != nil || found.name != t.name {
			problems = append(problems, notice.Invalid(path.Join(t.name, phase), "has no text: add %s and the like",
				path.Join(t.name, phase, "en.md")))
			continue
		}
		if files[found.dir] == nil {
			var bad []error
			files[found.dir], bad = s.texts(found, notice.Body{Phase: phase}, nil)
			problems = append(problems, bad...)
			for _, language := range slices.Sorted(maps.Keys(files[found.dir])) {
				texts++
				if languages[language] == "" {
					languages[language] = files[found.dir][language].name
				}
			}
		}
		for _, language := range slices.Sorted(maps.Keys(files[found.dir])) {
			if err := s.try(found, phase, language, files[found.dir][language]); err != nil {
				problems = append(problems, err)
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(files)) {
		for _, language := range slices.Sorted(maps.Keys(languages)) {
			name := path.Join(dir, path.Base(languages[language]))
			if path.Base(name) == frameName {
				name = path.Join(dir, language+".md")
			}
			if _, err := fs.Stat(t.from, name); files[dir][language].name == "" && err != nil {
				problems = append(problems, notice.Invalid(name, "is missing: %s has that language", languages[language]))
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(languages)) {
		switch w, tag := s.languages.wordsFor(key); {
		case !s.languages.haveWords():
		case w == nil:
			problems = append(problems, notice.Invalid(path.Join(languagesName, key+".yaml"), "lacks words: %s has that language", languages[key]))
		case !s.languages.hasLayoutWords(key):
			problems = append(problems, notice.Invalid(path.Join(languagesName, tag.String()+".yaml"), "lacks the words of the layout: copy layout: from en.yaml, and translate it"))
		case len(w.reader) == 0:
			problems = append(problems, notice.Invalid(path.Join(languagesName, tag.String()+".yaml"), "lacks the words for readers' choices: copy reader: from en.yaml, and translate it"))
		}
	}
	return texts, problems
}

// try makes the mails that a text can become, with and without optional parameters. Some are for a customer without
// known data, some for several at one mailbox. It returns the first mistake.
func (s *Set) try(t folder, phase, language string, f textFile) error {
	few, all := maps.Clone(t.Required), maps.Clone(t.Required)
	if !t.there {
		few, all = map[string]string{}, map[string]string{}
	}
	maps.Copy(all, t.Optional)
	b := notice.Body{Key: "k", Kind: kindOf(phase), Phase: phase, Template: t.name, DefaultLanguage: language,
		Windows: []notice.Window{{Start: "2026-11-09T21:00", End: "2026-11-10T00:00"}, {Start: "2026-11-10T21:00", End: "2026-11-11T00:00"}}}
	for _, given := range []map[string]string{few, all} {
		b.Parameters = map[string]notice.Parameter{}
		for name, example := range given {
			b.Parameters[name] = notice.Parameter{Text: example}
		}
		if phase == notice.PhaseRescheduled {
			b.Was = b.Windows
		}
		p, err := s.Compile(Source{Body: b, Texts: map[string]notice.Text{language: f.text}, From: "status@example.net", IncidentKey: "i"})
		if e, ok := errors.AsType[*notice.Error](err); ok && !t.there && strings.Contains(e.Message, "the notice gives") {
			name, _, _ := strings.Cut(e.Message, " does not exist")
			return notice.Invalid(e.Field, "%s is not known: name it in %s, under required or optional, with an example", name, path.Join(t.name, manifestName))
		}
		if err != nil {
			return err
		}
		if err := p.Sound(); err != nil {
			return err
		}
		reader, err := p.reader(readerKey{text: p.matcher.fallback})
		if err != nil {
			return err
		}
		t := trial{Program: p, file: f.name, reader: reader, tried: map[string]*Mail{}}
		if err := t.notices(phase); err != nil {
			return err
		}
	}
	return nil
}

// trial tries the mails that a text can become. Of those that differ in values alone it makes one.
type trial struct {
	*Program
	file   string
	reader *reader
	tried  map[string]*Mail
}

// notices tries the mails of notices of every kind that has the phase, of every severity, with windows and without.
func (t *trial) notices(phase string) error {
	windows := t.windows
	for _, kind := range notice.Kinds {
		if !slices.Contains(notice.Phases[kind], phase) {
			continue
		}
		t.notice.Kind = string(kind)
		for _, t.notice.Severity = range append([]string{""}, notice.Severities...) {
			if _, _, err := t.layouts.around(t.layoutData(t.reader)); err != nil {
				return err
			}
			for n := range 1 + len(windows) {
				t.windows = windows[:n]
				if err := t.readers(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// readers tries the mails to a customer without a name, to one with a name, and to several at one mailbox.
func (t *trial) readers() error {
	for _, customers := range [][]notice.Frozen{{{ID: "1"}}, {{ID: "1", Name: "A"}}, {{ID: "1", Name: "A"}, {ID: "2"}}} {
		if err := t.recipient(notice.Recipient{Customers: customers}); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) recipient(r notice.Recipient) error {
	m := &Mail{Locales: t.reader.locales}
	x, err := t.expand(t.reader.texts[0], &values{mail: m, index: map[string]int{}}, t.env(t.reader, 0, r))
	if err != nil {
		return err
	}
	key := x.key()
	if known := t.tried[key]; known != nil {
		return known.Check(r)
	}
	b, err := t.block(x)
	if err != nil {
		return err
	}
	m.Subjects, m.SubjectAt = [][]piece{b.subject}, []string{t.reader.texts[0].subject.label}
	t.tried[key] = m
	if err := m.Check(r); err != nil {
		return err
	}
	var f filling
	if err := m.fill(&f, r, nil); err != nil {
		return err
	}
	if strings.Contains(string(f.plain(b.text)), "**") {
		return notice.Invalid(t.file, `leaves ** in a mail: want a space or a line's end beside it`)
	}
	return nil
}

// key is the same for texts in which the same actions ran and the same constants are printed.
func (x *expanded) key() string {
	var b strings.Builder
	b.Write(x.trace)
	for _, p := range slices.Concat(x.subjectPrints, x.bodyPrints) {
		b.WriteString("\x00" + p.s)
	}
	return b.String()
}
