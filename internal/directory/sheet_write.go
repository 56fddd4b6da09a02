package directory

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"tocsin/internal/notice"
)

// writer writes fields of notice.yaml. A field that says nothing is left out.
type writer struct{ *bytes.Buffer }

func (w writer) plain(name, indent, text string) {
	if text = plainText(text); text != "" {
		fmt.Fprintf(w, "%s%s: %s\n", indent, scalar(name), block(text, indent))
	}
}

func (w writer) list(name, indent string, all []string) {
	if all = filled(all); len(all) > 0 {
		for i := range all {
			all[i] = scalar(all[i])
		}
		fmt.Fprintf(w, "%s%s: [%s]\n", indent, name, strings.Join(all, ", "))
	}
}

// filled returns the texts that are not blank.
func filled(all []string) (kept []string) {
	for _, text := range all {
		if text = plainText(text); text != "" {
			kept = append(kept, text)
		}
	}
	return kept
}

// parameters writes a mapping of parameters.
func (w writer) parameters(name, indent string, all map[string]notice.Parameter) {
	var inner bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(all)) {
		writer{&inner}.parameter(key, indent+"  ", all[key])
	}
	if inner.Len() > 0 {
		fmt.Fprintf(w, "%s%s:\n%s", indent, scalar(name), inner.Bytes())
	}
}

// parameter writes one text, or one for each language.
func (w writer) parameter(name, indent string, p notice.Parameter) {
	if p.ByLanguage == nil {
		w.plain(name, indent, p.Text)
		return
	}
	texts := map[string]notice.Parameter{}
	for tag, text := range p.ByLanguage {
		texts[tag] = notice.Parameter{Text: text}
	}
	w.parameters(name, indent, texts)
}

func (w writer) phrases(all []notice.Phrase) {
	for i, p := range all {
		if i == 0 {
			w.WriteString("phrases:\n")
		}
		var values bytes.Buffer
		for _, name := range slices.Sorted(maps.Keys(p.Values)) {
			writer{&values}.parameter(name, "      ", p.Values[name])
		}
		if values.Len() == 0 {
			fmt.Fprintf(w, "  - %s\n", scalar(p.Name))
		} else {
			fmt.Fprintf(w, "  - %s:\n%s", scalar(p.Name), values.Bytes())
		}
	}
}

func (w writer) aim(a Aim) {
	if a.Customers == "" && a.Notice == "" && !a.New && len(a.State) == 0 && a.Contact == "" {
		w.plain("audience", "", a.Filter)
		return
	}
	w.WriteString("audience:\n")
	w.plain("notice", "  ", a.Notice)
	w.plain("customers", "  ", a.Customers)
	w.plain("filter", "  ", a.Filter)
	if a.New {
		w.WriteString("  include_new: true\n")
	}
	w.list("state", "  ", a.State)
	w.plain("contact", "  ", a.Contact)
}

func (w writer) windows(name string, all []notice.Window) {
	first := true
	for _, win := range all {
		var parts []string
		for _, p := range [][2]string{{"start", win.Start}, {"end", win.End}, {"zone", win.Zone}} {
			if text := plainText(p[1]); text != "" {
				parts = append(parts, p[0]+": "+scalar(text))
			}
		}
		if len(parts) == 0 {
			continue
		}
		if first {
			fmt.Fprintf(w, "%s:\n", name)
			first = false
		}
		fmt.Fprintf(w, "  - {%s}\n", strings.Join(parts, ", "))
	}
}

// simple is a text that YAML takes as it stands, in brackets too.
var simple = regexp.MustCompile(`^[\pL\pN/+][\pL\pN ._/+@~:-]*$`)

// odd reports whether a rune is a control or a mark that YAML has as an escape alone.
func odd(r rune) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff
}

// scalar writes a text of one line.
func scalar(text string) string {
	switch {
	case simple.MatchString(text) && !strings.Contains(text, ": ") && !strings.HasSuffix(text, ":") && !strings.EqualFold(text, "null"):
		return text
	case !strings.ContainsFunc(text, odd):
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r == '\n':
			b.WriteString("\\n")
		case odd(r):
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// block writes a text of one line, or of several as they stand, below a name that is indented so far.
func block(text, indent string) string {
	if !strings.Contains(text, "\n") || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && odd(r) }) {
		return scalar(text)
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = indent + "  " + line
		}
	}
	return "|-\n" + strings.Join(lines, "\n")
}
