package directory

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// readAudience reads the audience: all, a filter, or a mapping that names a list or an earlier notice too.
func (d place) readAudience(to *notice.Audience) func(yaml.Value) error {
	return func(v yaml.Value) error {
		if v.Plain() {
			err := d.readFilter(&to.Filter)(v)
			if to.Filter == notice.Everybody {
				*to = notice.Audience{All: true}
			}
			return err
		}
		err := v.Fields("field of an audience", "a filter, or a mapping such as {notice: outage-7.identified}", yaml.Fields{
			"filter":      d.readFilter(&to.Filter),
			"customers":   d.readCustomers(&to.Customers),
			"notice":      yaml.Text(&to.Notice),
			"include_new": yaml.Flag(&to.IncludeNew),
			"state":       readStates(&to.State),
			"contact":     yaml.Text(&to.Contact),
		})
		to.Empty = sayingNothing(v, *to)
		switch {
		case err != nil:
			return err
		case to.Customers != nil && to.Notice != "":
			return v.Wrong("an audience is either a list of customers or an earlier notice's, not both")
		case to.IncludeNew && to.Notice == "":
			return v.Wrong("include_new goes with notice: it adds who has come to an earlier notice's audience since")
		case len(to.State) > 0 && to.Notice == "":
			return v.Wrong("state goes with notice: it narrows an earlier notice to the customers whose mail is in one of these states")
		case to.ContactFault() != "":
			return v.Wrong("contact %s", to.ContactFault())
		}
		return nil
	}
}

// sayingNothing returns the name of a member of the mapping v that was given and says nothing, "" for none.
func sayingNothing(v yaml.Value, a notice.Audience) string {
	for _, member := range []struct {
		name  string
		empty bool
	}{{"filter", a.Filter == ""}, {"customers", a.Customers == nil}, {"notice", a.Notice == ""}, {"state", a.State == nil}, {"contact", a.Contact == ""}} {
		if _, line := v.Find(member.name); member.empty && line > 0 {
			return member.name
		}
	}
	return ""
}

// readStates reads the states of deliveries: a list, or one alone.
func readStates(to *[]notice.DeliveryState) func(yaml.Value) error {
	read := func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil || v.Empty() {
			return err
		}
		state, err := notice.ParseDeliveryState(text)
		if err != nil {
			return v.Wrong("%v", err)
		}
		*to = append(*to, state)
		return nil
	}
	return func(v yaml.Value) error {
		if v.Plain() {
			return read(v)
		}
		return v.List("[failed, suppressed]", read)
	}
}

// readFilter reads a filter, and the files of values that it names, which stand next to the manifest.
func (d place) readFilter(to *string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil || v.Empty() {
			return err
		}
		*to, err = audience.Fill(text, func(file, name string) (values []string, err error) {
			err = d.readBeside(file, v, func(r io.Reader) (err error) {
				values, err = audience.ReadValues(r, name)
				return err
			})
			return values, err
		})
		return err
	}
}

// readCustomers reads the list that a field names, a file next to the manifest.
func (d place) readCustomers(to *[]string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		file, err := v.Text()
		if err != nil || v.Empty() {
			return err
		}
		return d.readBeside(file, v, func(r io.Reader) error {
			list, err := audience.ReadList(r)
			for _, l := range list {
				*to = append(*to, l.ID)
			}
			return err
		})
	}
}

// readBeside reads a file next to the manifest, which v names. Its error names the file and the line.
func (d place) readBeside(file string, v yaml.Value, read func(io.Reader) error) error {
	if file == "" || filepath.Base(file) != file || strings.HasPrefix(file, ".") {
		return v.Wrong("%s: %q is not the name of a file beside %s, such as list.csv", v.Name(), file, manifest)
	}
	err := d.readFile(file, read)
	if errors.Is(err, fs.ErrNotExist) {
		return v.Wrong("%s: there is no file %s beside %s", v.Name(), file, manifest)
	}
	return err
}

// readList reads a list of customers. Its error names the file and the line.
func (d place) readList(file string) (list []audience.ListedID, err error) {
	err = d.readFile(file, func(r io.Reader) (err error) {
		list, err = audience.ReadList(r)
		return err
	})
	return list, err
}

func (d place) readFile(file string, read func(io.Reader) error) error {
	f, err := d.files.Open(file)
	if err != nil {
		return fmt.Errorf("read the list: %w", err)
	}
	defer f.Close()
	err = read(f)
	if e, ok := errors.AsType[*notice.Error](err); ok {
		field := d.path(file)
		if line, ok := strings.CutPrefix(e.Field, "line "); ok {
			field += ":" + line
		}
		return notice.Invalid(field, "%s", e.Message)
	}
	return err
}

// inList is how the API names a place in the list of an audience: audience.customers[17].
var inList = regexp.MustCompile(`^audience\.customers\[(\d+)\]$`)

// listPlace turns the API's name of a place in a notice's list into the line of the file and the id that stands there.
func (d place) listPlace(field string) (place, id string, ok bool) {
	m := inList.FindStringSubmatch(field)
	if m == nil {
		return "", "", false
	}
	i, err := strconv.Atoi(m[1])
	if err != nil {
		return "", "", false
	}
	file, err := d.listFile()
	if err != nil {
		return "", "", false
	}
	list, err := d.readList(file)
	if err != nil || i >= len(list) {
		return "", "", false
	}
	return fmt.Sprintf("%s:%d", d.path(file), list[i].Line), list[i].ID, true
}

// stands reports whether a field, or the mapping that it is in, stands in the manifest of a directory.
func (d place) stands(field string) bool {
	top, _, _ := strings.Cut(field, ".")
	_, line := d.readManifest().Find(top)
	return line > 0
}

// manifestPlace turns the API's name of a field, audience.notice, into its line of the manifest and its name. Where
// the field does not stand there, it returns the manifest and the name. Missing windows have the line of the phase
// that asks for them.
func (d place) manifestPlace(field string) string {
	_, line := d.readManifest().Find(field)
	if line == 0 && field == "broken_domains" {
		_, line = d.readManifest().Find("broken.domains")
	}
	if line == 0 && (field == "was" || field == "windows") {
		_, line = d.readManifest().Find("phase")
	}
	if line > 0 {
		return fmt.Sprintf("%s:%d %s", d.path(manifest), line, field)
	}
	return fmt.Sprintf("%s %s", d.path(manifest), field)
}

// listFile returns the name of the list that a directory's manifest names.
func (d place) listFile() (string, error) {
	file, _ := d.readManifest().Find("audience.customers")
	return file.Text()
}

// readManifest returns the content of a directory's manifest, nothing where it can't be read any more.
func (d place) readManifest() yaml.Value {
	text, err := fs.ReadFile(d.files, manifest)
	if err != nil {
		return yaml.Value{}
	}
	v, _ := yaml.Read(d.path(manifest), text)
	return v
}
