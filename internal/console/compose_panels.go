package console

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// The files of a language besides its text.
const (
	detailsFile    = "details."
	correctionFile = "correction."
)

// panel is the tab of a language.
type panel struct {
	Tag  string
	ID   string
	On   bool
	Bad  bool // something in it is at fault
	Text *draftFile
	// Details is the paragraph in a ready text, nil where there is none.
	Details    *field
	Correction *draftFile
	Removable  bool
}

// panelsOf are the tabs of a draft: its languages, the default one, and one that was just added. Ready texts have the default one without a file.
func (v *composeView) panelsOf(chosen string) (all []panel) {
	tags := map[string]bool{}
	own := ""
	for _, f := range v.Files {
		if f.Language != "" {
			tags[f.Language] = true
			if own == "" || f.Language < own && own != "en" || f.Language == "en" {
				own = f.Language
			}
		}
	}
	for tag := range v.Sheet.Details.ByLanguage {
		tags[tag] = true
	}
	if tag, err := language.Parse(chosen); err == nil {
		chosen = tag.String()
		tags[chosen] = true
	}
	templated := v.Sheet.Plain["template"] != ""
	if templated {
		own = ""
	}
	first := cmp.Or(v.Sheet.Plain["default_language"], own, "en")
	if len(tags) == 0 || templated || v.Sheet.Plain["default_language"] != "" {
		tags[first] = true
	}
	for tag := range tags {
		all = append(all, v.panelOf(tag))
	}
	slices.SortFunc(all, func(a, b panel) int {
		switch {
		case a.Tag == first:
			return -1
		case b.Tag == first:
			return 1
		}
		return strings.Compare(a.Tag, b.Tag)
	})
	on := max(0, slices.IndexFunc(all, func(p panel) bool { return p.Tag == chosen }))
	if len(all) > 0 {
		all[on].On = true
	}
	return all
}

func (v *composeView) panelOf(tag string) panel {
	p := panel{Tag: tag, ID: "lang-" + tag}
	templated := v.Sheet.Plain["template"] != ""
	p.Text = v.fileOf("", tag, !templated)
	p.Correction = v.fileOf(correctionFile, tag, v.Sheet.Plain["amends"] != "")
	if f := v.fileOf(detailsFile, tag, false); f != nil {
		p.Details = &field{Frame: v.Frame, Name: "text:" + f.Name, ID: "t-" + f.ID, Value: f.Text, Lang: tag}
	} else if text, given := v.Sheet.Details.ByLanguage[tag]; given || templated && !v.Sheet.Unread["details"] {
		p.Details = &field{Frame: v.Frame, Name: "d:details:" + tag, ID: "details-" + tag, Value: text, Lang: tag}
	}
	_, given := v.Sheet.Details.ByLanguage[tag]
	p.Removable = given || p.Text != nil && p.Text.There || p.Correction != nil && p.Correction.There || v.fileOf(detailsFile, tag, false) != nil
	if p.Details != nil {
		p.Details.Faults, p.Details.Label, p.Details.Type = v.at["details."+tag], v.T("field.details"), "textarea"
	}
	p.Bad = p.Details != nil && len(p.Details.Faults) > 0 || p.Text != nil && len(p.Text.Faults) > 0 || p.Correction != nil && len(p.Correction.Faults) > 0
	return p
}

// fileOf is the file of a language, nil where there is none; wanted makes an empty one then.
func (v *composeView) fileOf(prefix, tag string, wanted bool) *draftFile {
	for i, f := range v.Files {
		if f.Language == tag && f.Prefix == prefix {
			return &v.Files[i]
		}
	}
	if !wanted {
		return nil
	}
	name := prefix + tag + ".md"
	return &draftFile{Name: name, ID: idOf(name), Language: tag, Prefix: prefix, Split: true, Editable: true}
}

// Others are the files of a draft that are neither notice.yaml nor texts.
func (v *composeView) Others() (all []draftFile) {
	for _, f := range v.Files {
		if f.Name != directory.Manifest && f.Language == "" {
			all = append(all, f)
		}
	}
	return all
}

// addTexts adds the files of texts that a form has and the directory has not yet.
func addTexts(files directory.Files, form url.Values) {
	for field := range form {
		name, ok := strings.CutPrefix(field, "text:")
		tag, prefix := textOf(name)
		if !ok || files[name] != nil || tag == "" || strings.TrimSpace(form.Get(field)+form.Get("subject:"+name)) == "" {
			continue
		}
		if prefix == detailsFile {
			files[name] = []byte(unixLines(form.Get(field)))
		} else {
			files[name] = joinText(oneLine(form.Get("subject:"+name)), unixLines(form.Get(field)))
		}
	}
}

// dropBlank drops texts that say nothing from a notice with ready texts.
func dropBlank(files directory.Files) {
	for name, content := range files {
		if tag, prefix := textOf(name); tag != "" && prefix == "" && string(content) == string(joinText("", "")) {
			delete(files, name)
		}
	}
}

// dropLanguage takes a language out of a draft: its files, and its values in notice.yaml.
func dropLanguage(files directory.Files, s *directory.Sheet, tag string) {
	for name := range files {
		if its, _ := textOf(name); its == tag {
			delete(files, name)
		}
	}
	delete(s.Details.ByLanguage, tag)
	for name, p := range s.Parameters {
		s.Parameters[name] = without(p, tag)
	}
}

func without(p notice.Parameter, tag string) notice.Parameter {
	if _, given := p.ByLanguage[tag]; !given {
		return p
	}
	kept := map[string]string{}
	for lang, text := range p.ByLanguage {
		if lang != tag {
			kept[lang] = text
		}
	}
	return notice.Parameter{Text: p.Text, ByLanguage: kept}
}

// textOf returns the language of a text by the name of its file, "" for another file, and the part of the name before it.
func textOf(name string) (tag, prefix string) {
	base, ok := strings.CutSuffix(name, ".md")
	if !ok {
		return "", ""
	}
	for _, p := range []string{detailsFile, correctionFile} {
		if rest, its := strings.CutPrefix(base, p); its {
			base, prefix = rest, p
		}
	}
	parsed, err := language.Parse(base)
	if err != nil {
		return "", ""
	}
	return parsed.String(), prefix
}
