package console

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// field is a field of notice.yaml in the form.
type field struct {
	*Frame
	Of      string // the field of notice.yaml at which its faults stand; "" = none
	Name    string // in the form
	ID      string
	Label   string
	Hint    string
	Value   string
	Type    string // of the input; textarea for several lines
	Like    string // an example
	List    string // id of suggestions
	Lang    string // of the value
	Options []option
	Faults  []string
	Unread  bool
	Needed  bool
}

// option is one value of several.
type option struct {
	Value, Text, Group string
	On                 bool
}

// pick marks the options with the value, which is one of them in any case.
func pick(all []option, value string) []option {
	found := false
	for i := range all {
		all[i].On = all[i].Value == value
		found = found || all[i].On
	}
	if !found {
		all = append(all, option{Value: value, Text: value, On: true})
	}
	return all
}

// wordsOf are options with their words in the reader's language; no is the text for none of them, "" where one is needed.
func (v *composeView) wordsOf(kind string, no string, values ...string) (all []option) {
	if no != "" {
		all = append(all, option{Text: no})
	}
	for _, value := range values {
		all = append(all, option{Value: value, Text: v.term(kind, value)})
	}
	return all
}

// optionsOf are the values that a field of notice.yaml may have, nil where that is any text.
func (v *composeView) optionsOf(name string) []option {
	none := v.T("field.none")
	switch name {
	case "kind":
		kinds := make([]string, len(notice.Kinds))
		for i, kind := range notice.Kinds {
			kinds[i] = string(kind)
		}
		return v.wordsOf("kind", "", kinds...)
	case "phase":
		return v.wordsOf("phase", "", notice.Phases[notice.Kind(v.Sheet.Plain["kind"])]...)
	case "severity":
		return v.wordsOf("severity", none, notice.Severities...)
	case "template":
		names := make([]string, len(v.Ready.Templates))
		for i, t := range v.Ready.Templates {
			names[i] = t.Name
		}
		return v.wordsOf("template", v.T("field.own_texts"), names...)
	case "stacked":
		return v.wordsOf("stacked", v.T("field.usual"), string(notice.StackNever), string(notice.StackUnmatched), string(notice.StackAlways))
	case "audience_at":
		return v.wordsOf("audience_at", v.T("field.usual"), string(notice.AtRelease), string(notice.AtSend))
	case "calendar_impact":
		return v.wordsOf("impact", v.T("field.usual"), notice.Impacts...)
	case "calendar_method":
		return v.wordsOf("method", v.T("field.usual"), notice.CalendarMethods...)
	}
	return nil
}

// localTime is a time that a browser's field for times can show.
var localTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d$`)

// timed is the type of a field for a time: a text where it has an offset, or is no time.
func timed(value string) string {
	if value == "" || localTime.MatchString(value) {
		return "datetime-local"
	}
	return "text"
}

// Field is a field of one plain value.
func (v *composeView) Field(name string) field {
	value := v.Sheet.Plain[name]
	f := field{Frame: v.Frame, Of: name, Name: "y." + name, ID: "y-" + name, Label: v.T("field." + name), Value: value, Type: "text", Faults: v.at[name], Unread: v.Sheet.Unread[name]}
	if hint := "hint." + name; v.T(hint) != hint {
		f.Hint = v.T(hint)
	}
	if options := v.optionsOf(name); options != nil {
		f.Options = pick(options, value)
	}
	switch name {
	case "send_at", "expires_at":
		f.Type = timed(value)
	case "max_recipients", "canary":
		f.Type, f.Like = "text", "200"
	case "zone":
		f.List, f.Like = "zones", "Europe/Amsterdam"
	case "default_language":
		f.Like = "en"
	case "incident":
		f.List = "incidents"
	case "reply_to":
		f.Like = "support@example.org"
	}
	return f
}

// Line is a field of several values in one line.
func (v *composeView) Line(name string) field {
	lists := map[string][]string{"remind": v.Sheet.Remind, "broken_domains": v.Sheet.BrokenDomains, "broken-domains": v.Sheet.Broken.Domains}
	of, _, _ := strings.Cut(name, "-")
	return field{Frame: v.Frame, Of: of, Name: "l." + name, ID: "l-" + name, Label: v.T("field." + name), Hint: v.T("hint." + name),
		Value: strings.Join(lists[name], ", "), Type: "text", Faults: v.at[of], Unread: v.Sheet.Unread[of]}
}

// BrokenFilter is the field for the customers with a mailbox that is down.
func (v *composeView) BrokenFilter() field {
	return field{Frame: v.Frame, Name: "broken-filter", ID: "broken-filter", Label: v.T("field.broken-filter"), Hint: v.T("hint.broken-filter"), Value: v.Sheet.Broken.Filter, Type: "text",
		Like: `server = "mx3"`, Of: "broken", Faults: v.at["broken"], Unread: v.Sheet.Unread["broken"]}
}

// valued is a parameter with its value for all languages, and one for each.
type valued struct {
	field
	Each []field
	Open bool // some language has its own
}

// valuedOf is a parameter in the form. name begins the names of its fields; like is an example of it.
func (v *composeView) valuedOf(name, id, label, like string, p notice.Parameter) valued {
	text := func(value string) string {
		switch {
		case strings.Contains(value, "\n"):
			return "textarea"
		case localTime.MatchString(like):
			return timed(value)
		}
		return "text"
	}
	all := valued{field: field{Frame: v.Frame, Name: name, ID: id, Label: label, Like: like, Value: p.Text, Type: text(p.Text)}, Open: p.ByLanguage != nil}
	if localTime.MatchString(like) && p.ByLanguage == nil {
		return all // every language writes it in its own way
	}
	for _, tag := range v.tags(p.ByLanguage) {
		all.Each = append(all.Each, field{Frame: v.Frame, Name: name + ":" + tag, ID: id + "-" + tag, Label: v.Language(tag), Lang: tag, Value: p.ByLanguage[tag], Type: text(p.ByLanguage[tag])})
	}
	return all
}

// tags are the languages of the draft, and those of a value.
func (v *composeView) tags(more map[string]string) []string {
	all := map[string]bool{}
	for _, p := range v.Panels {
		all[p.Tag] = true
	}
	for tag := range more {
		all[tag] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// template is the one that the draft names.
func (v *composeView) template() (t notice.ReadyTemplate) {
	for _, t := range v.Ready.Templates {
		if t.Name == v.Sheet.Plain["template"] {
			return t
		}
	}
	return t
}

// Parameters are those that the template takes, and the others that the draft gives.
func (v *composeView) Parameters() (all []valued) {
	t := v.template()
	given := maps.Clone(v.Sheet.Parameters)
	for i, declared := range []map[string]string{t.Required, t.Optional} {
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			p := v.valuedOf("p:"+name, "p-"+name, cmp.Or(v.words["parameter."+name], name), declared[name], given[name])
			p.Of, p.Needed, p.Faults = "", i == 0, v.at["parameters."+name]
			all = append(all, p)
			delete(given, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p := v.valuedOf("p:"+name, "p-"+name, name, "", given[name])
		p.Faults = v.at["parameters."+name]
		all = append(all, p)
	}
	return all
}

// Single is the field of the value for all languages.
func (p valued) Single() field { return p.field }

// Closed reports whether the template takes no parameters but its own.
func (v *composeView) Closed() bool {
	t := v.template()
	return v.Sheet.Plain["template"] != "" && len(t.Required)+len(t.Optional) > 0
}

// DetailsForAll is the paragraph that a notice gives for all languages.
func (v *composeView) DetailsForAll() field {
	return field{Frame: v.Frame, Name: "d:details", ID: "details-all", Label: v.T("field.details_all"), Value: v.Sheet.Details.Text, Type: "textarea", Faults: v.at["details"]}
}

// Wrongs are the faults of a field of notice.yaml.
func (v *composeView) Wrongs(name string) []string { return v.at[name] }

// PlaceOf is where a fault stands, as the form calls it; in the files it has its line.
func (v *composeView) PlaceOf(f fault) string {
	top, of, _ := strings.Cut(f.Field, ".")
	phrase, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(top, "phrases["), "]"))
	switch {
	case v.AsFile || f.Field == "":
		return f.Place
	case top == "parameters" && of != "":
		return cmp.Or(v.words["parameter."+of], of)
	case top == "details" && of != "":
		return v.T("field.details") + ", " + v.Language(of)
	case err == nil:
		return v.T("field.phrase", phrase+1)
	case top == "audience":
		return v.T("compose.part_audience")
	case top == "broken":
		return v.T("field.broken-filter")
	}
	return cmp.Or(v.words["field."+top], f.Place)
}

// part is a file as a part of the page.
type part struct {
	*Frame
	draftFile
}

// Part is a file as a part of the page.
func (v *composeView) Part(f any) part {
	switch f := f.(type) {
	case draftFile:
		return part{v.Frame, f}
	case *draftFile:
		return part{v.Frame, *f}
	}
	return part{Frame: v.Frame}
}

// Offered are languages to add, which customers may have.
func (v *composeView) Offered() (all []option) {
	for _, tag := range strings.Fields("ar bg cs da de de-CH el en en-GB es es-MX fa fi fr he hi hu id it ja ko nb nl pl pt pt-BR ro sk sv tr uk zh-Hans zh-Hant") {
		all = append(all, option{Value: tag, Text: v.Language(tag)})
	}
	return all
}

// Zones are time zones to choose from: that of the reader, and frequent ones.
func (v *composeView) Zones() []string {
	all := strings.Fields("Africa/Johannesburg America/Chicago America/Los_Angeles America/New_York America/Sao_Paulo Asia/Dubai Asia/Kolkata Asia/Shanghai Asia/Singapore Asia/Tokyo " +
		"Australia/Sydney Europe/Amsterdam Europe/Athens Europe/Berlin Europe/London Europe/Madrid Europe/Paris Europe/Warsaw Europe/Zurich UTC")
	if v.Frame != nil && v.Zone != nil && !slices.Contains(all, v.Zone.String()) {
		all = append(all, v.Zone.String())
	}
	return all
}

// phraseRow is a phrase in the form.
type phraseRow struct {
	*Frame
	Number  int
	ID      string
	Options []option
	Slots   []valued
	Faults  []string
}

// Phrases are the phrases of the draft, and one more to choose.
func (v *composeView) Phrases() (rows []phraseRow) {
	for i, p := range append(slices.Clone(v.Sheet.Phrases), notice.Phrase{}) {
		id := "phrase-" + strconv.Itoa(i)
		row := phraseRow{Frame: v.Frame, Number: i + 1, ID: id, Faults: v.at["phrases["+strconv.Itoa(i)+"]"]}
		all := []option{{Text: v.T("field.no_phrase")}}
		slots := slices.Sorted(maps.Keys(p.Values))
		for _, known := range v.Ready.Phrases {
			sort, _, _ := strings.Cut(known.Name, ".")
			all = append(all, option{Value: known.Name, Text: known.Text, Group: cmp.Or(v.words["phrase."+sort], sort)})
			if known.Name == p.Name {
				slots = slices.Compact(slices.Sorted(slices.Values(append(slots, known.Slots...))))
			}
		}
		row.Options = pick(all, p.Name)
		for _, slot := range slots {
			like := map[string]string{"time": "2026-11-09T21:00"}[slot]
			row.Slots = append(row.Slots, v.valuedOf("v:"+strconv.Itoa(i)+":"+slot, id+"-"+slot, cmp.Or(v.words["slot."+slot], slot), like, p.Values[slot]))
		}
		rows = append(rows, row)
	}
	return rows
}

// optionGroup are options of a sort.
type optionGroup struct {
	Name    string
	Options []option
}

// Groups are the phrases of each sort.
func (r phraseRow) Groups() (all []optionGroup) {
	for _, o := range r.Options {
		if len(all) == 0 || all[len(all)-1].Name != o.Group {
			all = append(all, optionGroup{Name: o.Group})
		}
		at := &all[len(all)-1]
		at.Options = append(at.Options, o)
	}
	return all
}

// windowRow is a window in the form.
type windowRow struct {
	*Frame
	notice.Window
	Name, ID           string
	Number             int
	StartType, EndType string
}

// Windows are the windows of the draft, and one more to fill in. name is window, or was for those of before.
func (v *composeView) Windows(name string) (rows []windowRow) {
	all := v.Sheet.Windows
	if name == "was" {
		all = v.Sheet.Was
	}
	for i, w := range append(slices.Clone(all), notice.Window{}) {
		rows = append(rows, windowRow{v.Frame, w, name, name + "-" + strconv.Itoa(i), i + 1, timed(w.Start), timed(w.End)})
	}
	return rows
}

// aimView is the audience in the form.
type aimView struct {
	directory.Aim
	Of      string
	Kinds   []option
	States  []option
	Lists   []option
	Filter  string
	Contact []option
}

// Aim is the audience of the draft.
func (v *composeView) Aim() (a aimView) {
	a = aimView{Aim: v.Sheet.Audience, Of: aimOf(v.Sheet.Audience), Filter: v.Sheet.Audience.Filter}
	if a.Filter == notice.Everybody {
		a.Filter = ""
	}
	a.Kinds = pick(v.wordsOf("aim", "", aimAll, aimFilter, aimNotice, aimList, aimNobody), a.Of)
	for _, state := range notice.DeliveryStates {
		name := state.String()
		a.States = append(a.States, option{Value: name, Text: v.State(name), On: slices.Contains(a.State, name)})
	}
	for _, name := range a.State {
		if !slices.ContainsFunc(a.States, func(o option) bool { return o.Value == name }) {
			a.States = append(a.States, option{Value: name, Text: name, On: true})
		}
	}
	lists := []option{{Text: v.T("field.no_list")}}
	for _, f := range v.Files {
		if f.Name != directory.Manifest && !strings.HasSuffix(f.Name, ".md") {
			lists = append(lists, option{Value: f.Name, Text: f.Name})
		}
	}
	a.Lists = pick(lists, a.Customers)
	a.Contact = pick(v.wordsOf("contact", v.T("contact.primary"), string(notice.Alternate)), a.Aim.Contact)
	return a
}
