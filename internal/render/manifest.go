package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"tocsin/internal/notice"
)

// manifest is a template's template.yaml. A template without one has texts for any phase that it has a folder for,
// and takes the parameters that a notice gives.
type manifest struct {
	Phases   []string          `yaml:"phases"`   // that it has texts for
	Required map[string]string `yaml:"required"` // parameters, with an example of each
	Optional map[string]string `yaml:"optional"`

	there bool
}

var yamlErrorLine = regexp.MustCompile(`line (\d+): (.*)`)

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
	dec := yaml.NewDecoder(bytes.NewReader(content))
	dec.KnownFields(true)
	if err := dec.Decode(&m); err != nil && err != io.EOF {
		if at := yamlErrorLine.FindStringSubmatch(err.Error()); at != nil {
			return m, notice.Invalid(name+":"+at[1], "%s; known are phases, required and optional", at[2])
		}
		return m, notice.Invalid(name, "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	for _, phase := range m.Phases {
		if kindOf(phase) == "" {
			return m, notice.Invalid(name, "%q is no phase of a notice", phase)
		}
	}
	return m, nil
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

// takes refuses parameters that the template does not know, and what it needs and is not given.
func (t folder) takes(parameters map[string]string) error {
	if !t.there {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(t.Required)) {
		if clean(parameters[name]) == "" {
			return notice.Invalid("parameters."+name, "the template %s needs it, such as %q", t.name, t.Required[name])
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
