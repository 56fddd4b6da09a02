package directory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"tocsin/internal/notice"
)

// carried are the fields of notice.yaml that an update takes from the notice before, in the order of the file.
var carried = []string{"template", "parameters", "details", "default_language", "stacked", "zone", "windows",
	"calendar_method", "calendar_impact", "calendar_object", "broken_domains", "broken", "reply_to"}

// Update is the directory of a notice that follows another one. It is about the next phase of its incident, for the
// same customers, with the texts of the one before. Its key is the first of that phase which is not taken.
func Update(before notice.Body, taken Taken) (Files, error) {
	phase := following(before.Kind, before.Phase)
	key := cmp.Or(before.Incident, before.Key) + "." + phase
	if key == before.Key {
		key += ".again"
	}
	key, err := Free(key, taken)
	if err != nil {
		return nil, err
	}
	audience := fmt.Sprintf("notice: %q", before.Key)
	if before.Audience.Contact != "" {
		audience += fmt.Sprintf(", contact: %s", before.Audience.Contact)
	}
	return after(before, key, phase, "audience: {"+audience+"}")
}

// Again is the directory of a notice that says the same as another one to some of its customers. audience is that
// field of notice.yaml.
func Again(before notice.Body, audience string, taken Taken) (Files, error) {
	key, err := Free(before.Key+".again", taken)
	if err != nil {
		return nil, err
	}
	return after(before, key, before.Phase, audience)
}

// Taken reports whether a notice, or a draft of one, has a key.
type Taken func(key string) (bool, error)

// Free is a key that is not taken: the key itself, or else with -2, -3 and so on behind it.
func Free(key string, taken Taken) (string, error) {
	for n, next := 2, key; ; n++ {
		if is, err := taken(next); err != nil || !is {
			return next, err
		}
		next = fmt.Sprintf("%s-%d", key, n)
	}
}

// after is the directory of a notice of the same incident, with the texts of the one before.
func after(before notice.Body, key, phase, audience string) (Files, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "key: %s\nincident: %q\nkind: %s\nphase: %s\n", key, cmp.Or(before.Incident, before.Key), before.Kind, phase)
	if before.Severity != "" {
		fmt.Fprintf(&b, "severity: %s\n", before.Severity)
	}
	fmt.Fprintln(&b, audience)
	if err := carry(&b, before); err != nil {
		return nil, err
	}
	files := Files{Manifest: b.Bytes()}
	for lang, text := range before.Texts {
		name := lang + ".md"
		files[name] = fmt.Appendf(nil, "---\nsubject: %s\n---\n%s", text.Subject, text.Body)
		if read, _ := ReadFiles(files.FS()); read.Texts[lang].Subject != text.Subject { // it wants quotes
			files[name] = fmt.Appendf(nil, "---\nsubject: %s\n---\n%s", inJSON(text.Subject), text.Body)
		}
	}
	return files, nil
}

func inJSON(value any) []byte {
	text, _ := json.Marshal(value) // texts and parameters can't fail
	return text
}

// carry writes the fields that an update has of the notice before. A value in JSON is one in YAML too.
func carry(b *bytes.Buffer, before notice.Body) error {
	text, err := json.Marshal(before)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	for _, name := range carried {
		if value, there := fields[name]; there {
			fmt.Fprintf(b, "%s: %s\n", name, value)
		}
	}
	for i, p := range before.Phrases {
		if i == 0 {
			b.WriteString("phrases:\n")
		}
		if p.Values == nil {
			fmt.Fprintf(b, "- %s\n", p.Name)
		} else {
			fmt.Fprintf(b, "- %s: %s\n", p.Name, inJSON(p.Values))
		}
	}
	return nil
}

// following is the phase that comes next as things go well: nothing is moved or cancelled. After the last one it is the same again.
func following(kind notice.Kind, phase string) string {
	phases := notice.Phases[kind]
	for _, next := range phases[slices.Index(phases, phase)+1:] {
		switch next {
		case notice.PhaseRescheduled, notice.PhaseReminder, notice.PhaseCancelled:
		default:
			return next
		}
	}
	return phase
}
