package console

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// The audiences that the form tells apart.
const (
	aimAll    = "all"
	aimFilter = "filter"
	aimNotice = "notice"
	aimList   = "list"
	aimNobody = "nobody"
)

// aimOf says which of them an audience is.
func aimOf(a directory.Aim) string {
	switch {
	case a.Notice != "":
		return aimNotice
	case a.Customers != "":
		return aimList
	case a.Filter == notice.Everybody:
		return aimAll
	case a.Filter != "":
		return aimFilter
	}
	return aimNobody
}

// filledIn returns the sheet as a form leaves it. A field that the form does not have stays.
func filledIn(was directory.Sheet, form url.Values, ready notice.Ready) directory.Sheet {
	s := was.Clone()
	for name := range form {
		if field, ok := strings.CutPrefix(name, "y."); ok {
			s.Plain[field] = strings.TrimSpace(form.Get(name))
		}
	}
	follow(&s, was)
	tag := cmp.Or(s.Plain["default_language"], "en")
	s.Parameters = parametersIn(was.Parameters, form, "p:", tag)
	if name := strings.TrimSpace(form.Get("parameter-name")); name != "" && form.Get("parameter-value") != "" {
		s.Parameters[name] = notice.Parameter{Text: form.Get("parameter-value")}
	}
	details := parametersIn(map[string]notice.Parameter{"details": was.Details}, form, "d:", tag)
	s.Details = details["details"]
	s.Phrases = phrasesIn(was.Phrases, form, ready, tag)
	s.Audience = aimIn(was.Audience, form)
	s.Windows, s.Was = windowsIn(was.Windows, form, "window"), windowsIn(was.Was, form, "was")
	s.Remind, s.BrokenDomains = listIn(was.Remind, form, "remind"), listIn(was.BrokenDomains, form, "broken_domains")
	s.Broken.Domains = listIn(was.Broken.Domains, form, "broken-domains")
	if form.Has("broken-filter") {
		s.Broken.Filter = form.Get("broken-filter")
	}
	return s
}

// follow keeps the phase one of its kind, and a key that was made of incident and phase such a one.
func follow(s *directory.Sheet, was directory.Sheet) {
	kind := notice.Kind(s.Plain["kind"])
	if phases := notice.Phases[kind]; s.Plain["kind"] != was.Plain["kind"] && phases != nil && !slices.Contains(phases, s.Plain["phase"]) {
		s.Plain["phase"] = phases[0]
	}
	made := func(of directory.Sheet) string { return of.Plain["incident"] + "." + of.Plain["phase"] }
	if was.Plain["incident"] != "" && was.Plain["key"] == made(was) && s.Plain["key"] == was.Plain["key"] && s.Plain["incident"] != "" {
		s.Plain["key"] = made(*s)
	}
}

// parametersIn returns parameters as a form leaves them. Its fields are prefix and name, for a language with that behind a colon. A text for all
// languages is that of the default one as soon as another language has its own.
func parametersIn(was map[string]notice.Parameter, form url.Values, prefix, tag string) map[string]notice.Parameter {
	all := map[string]notice.Parameter{}
	maps.Copy(all, was)
	byLanguage := map[string]map[string]string{}
	for field := range form {
		name, ok := strings.CutPrefix(field, prefix)
		if !ok {
			continue
		}
		name, lang, one := strings.Cut(name, ":")
		if byLanguage[name] == nil {
			byLanguage[name] = maps.Clone(was[name].ByLanguage)
			if byLanguage[name] == nil {
				byLanguage[name] = map[string]string{}
			}
		}
		if one {
			byLanguage[name][lang] = form.Get(field)
		}
	}
	for name, texts := range byLanguage {
		maps.DeleteFunc(texts, func(_, text string) bool { return strings.TrimSpace(text) == "" })
		text := was[name].Text
		if form.Has(prefix + name) {
			text = form.Get(prefix + name)
		}
		switch {
		case len(texts) == 0:
			all[name] = notice.Parameter{Text: text}
		case strings.TrimSpace(text) != "" && texts[tag] == "":
			texts[tag] = text
			fallthrough
		default:
			all[name] = notice.Parameter{ByLanguage: texts}
		}
	}
	return all
}

// phrasesIn returns phrases as a form leaves them: a row for each, in which another one keeps the values that it takes as well.
func phrasesIn(was []notice.Phrase, form url.Values, ready notice.Ready, tag string) (all []notice.Phrase) {
	if !form.Has("phrase") {
		return was
	}
	for i, name := range form["phrase"] {
		if name == "" {
			continue
		}
		var before notice.Phrase
		if i < len(was) {
			before = was[i]
		}
		p := notice.Phrase{Name: name, Values: parametersIn(before.Values, form, "v:"+strconv.Itoa(i)+":", tag)}
		if slots, known := slotsOf(ready, name); known && name != before.Name {
			maps.DeleteFunc(p.Values, func(slot string, _ notice.Parameter) bool { return !slices.Contains(slots, slot) })
		}
		all = append(all, p)
	}
	return all
}

// slotsOf are the slots of a phrase of the catalogue.
func slotsOf(ready notice.Ready, name string) (slots []string, known bool) {
	at := slices.IndexFunc(ready.Phrases, func(p notice.ReadyPhrase) bool { return p.Name == name })
	if at < 0 {
		return nil, false
	}
	return ready.Phrases[at].Slots, true
}

// aimIn returns the audience as a form leaves it.
func aimIn(was directory.Aim, form url.Values) (a directory.Aim) {
	filter := filterIn(was.Filter, form)
	switch form.Get("aim") {
	case aimAll:
		return directory.Aim{Filter: notice.Everybody}
	case aimFilter:
		return directory.Aim{Filter: filter}
	case aimNotice:
		a = directory.Aim{Notice: strings.TrimSpace(form.Get("aim-notice")), New: form.Has("aim-new"), State: form["aim-state"], Contact: form.Get("aim-contact")}
		if slices.Equal(slices.Sorted(slices.Values(a.State)), slices.Sorted(slices.Values(was.State))) {
			a.State = was.State
		}
	case aimList:
		a = directory.Aim{Customers: form.Get("aim-customers")}
	case aimNobody:
		return directory.Aim{}
	default:
		return was
	}
	if filter != notice.Everybody {
		a.Filter = filter
	}
	return a
}

// windowsIn returns windows as a form leaves them.
func windowsIn(was []notice.Window, form url.Values, name string) (all []notice.Window) {
	starts, ends, zones := form[name+".start"], form[name+".end"], form[name+".zone"]
	if len(starts) == 0 || len(starts) != len(ends) || len(starts) != len(zones) {
		return was
	}
	for i := range starts {
		if w := (notice.Window{Start: strings.TrimSpace(starts[i]), End: strings.TrimSpace(ends[i]), Zone: strings.TrimSpace(zones[i])}); w != (notice.Window{}) {
			all = append(all, w)
		}
	}
	return all
}

// listIn returns a list as a form leaves it in one line.
func listIn(was []string, form url.Values, name string) []string {
	text := form.Get("l." + name)
	if !form.Has("l."+name) || text == strings.Join(was, ", ") {
		return was
	}
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",; \t\r\n", r) })
}
