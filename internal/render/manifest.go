package render

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// manifest is a template's template.yaml. A template without one has texts for any phase that it has a folder for,
// and takes the parameters that a notice gives.
type manifest struct {
	Phases   []string          // that it has texts for
	Required map[string]string // parameters, with an example of each
	Optional map[string]string

	there bool
}

// readManifest reads the manifest of a template, if it has one. Its error is an *notice.Error with file and line.
func readManifest(from fs.FS, template string) (m manifest, err error) {
	name := path.Join(template, manifestName)
	content, err := fs.ReadFile(from, name)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("read template: %w", err)
	}
	m.there = true
	v, err := yaml.Read(name, content)
	if err != nil {
		return m, err
	}
	err = v.Fields("field of a template", "fields such as “phases: [identified, resolved]”", yaml.Fields{
		"required": examples(&m.Required),
		"optional": examples(&m.Optional),
		"phases": func(v yaml.Value) error {
			return v.List("[identified, resolved]", func(item yaml.Value) error {
				phase, err := item.Text()
				if err == nil && kindOf(phase) == "" {
					err = item.Wrong("%q is no phase of a notice", phase)
				}
				m.Phases = append(m.Phases, phase)
				return err
			})
		},
	})
	return m, err
}

// examples reads parameters, with an example of each.
func examples(to *map[string]string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		*to = map[string]string{}
		return v.Each("parameters with an example of each, such as {component: web server s639}", func(_, val yaml.Value) (err error) {
			(*to)[val.Name()], err = val.Text()
			return err
		})
	}
}

// kindOf returns a kind of incident that has the phase.
func kindOf(phase string) notice.Kind {
	for _, kind := range notice.Kinds {
		if slices.Contains(notice.Phases[kind], phase) {
			return kind
		}
	}
	return ""
}

// takes refuses parameters that the template does not know, and the lack of one that it needs.
func (t folder) takes(parameters map[string]notice.Parameter) error {
	if !t.there {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(t.Required)) {
		for language, value := range parameters[name].Values() {
			if clean(value) == "" {
				return notice.Invalid(strings.TrimSuffix("parameters."+name+"."+language, "."), "the template %s needs it, such as %q", t.name, t.Required[name])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		_, required := t.Required[name]
		if _, optional := t.Optional[name]; !required && !optional {
			known := append(slices.Collect(maps.Keys(t.Required)), slices.Collect(maps.Keys(t.Optional))...)
			slices.Sort(known)
			return notice.Invalid("parameters."+name, "the template %s does not know it: it takes %s", t.name, strings.Join(known, ", "))
		}
	}
	return nil
}
