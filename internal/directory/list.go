package directory

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// readAudience reads the audience: all, a filter, or a mapping that names a list or an earlier notice too. Path is that of the
// manifest.
func readAudience(path string, to *notice.Audience) func(yaml.Value) error {
	return func(v yaml.Value) error {
		if v.Plain() {
			err := readFilter(path, &to.Filter)(v)
			if to.Filter == notice.Everybody {
				*to = notice.Audience{All: true}
			}
			return err
		}
		err := v.Fields("field of an audience", "a filter, or a mapping such as {notice: outage-7.identified}", yaml.Fields{
			"filter":      readFilter(path, &to.Filter),
			"customers":   readCustomers(path, &to.Customers),
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

// readFilter reads a filter, and the files of values that it names, which stand beside the manifest at path.
func readFilter(path string, to *string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		text, err := v.Text()
		if err != nil || v.Empty() {
			return err
		}
		*to, err = audience.Fill(text, func(file, name string) (values []string, err error) {
			err = readBeside(path, file, v, func(r io.Reader) (err error) {
				values, err = audience.ReadValues(r, name)
				return err
			})
			return values, err
		})
		return err
	}
}

// readCustomers reads the list that a field names, a file beside the manifest at path.
func readCustomers(path string, to *[]string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		file, err := v.Text()
		if err != nil || v.Empty() {
			return err
		}
		return readBeside(path, file, v, func(r io.Reader) error {
			list, err := audience.ReadList(r)
			for _, l := range list {
				*to = append(*to, l.ID)
			}
			return err
		})
	}
}

// readBeside reads a file beside the manifest at path, which v names. Its error names the file and the line.
func readBeside(path, file string, v yaml.Value, read func(io.Reader) error) error {
	if file == "" || filepath.Base(file) != file || strings.HasPrefix(file, ".") {
		return v.Wrong("%s: %q is not the name of a file beside %s, such as list.csv", v.Name(), file, manifest)
	}
	err := readFile(filepath.Join(filepath.Dir(path), file), read)
	if errors.Is(err, os.ErrNotExist) {
		return v.Wrong("%s: there is no file %s beside %s", v.Name(), file, manifest)
	}
	return err
}

// readList reads a list of customers. Its error names the file and the line.
func readList(path string) (list []audience.ListedID, err error) {
	err = readFile(path, func(r io.Reader) (err error) {
		list, err = audience.ReadList(r)
		return err
	})
	return list, err
}

func readFile(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the list: %w", err)
	}
	defer f.Close()
	err = read(f)
	if e, ok := errors.AsType[*notice.Error](err); ok {
		field := path
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
func listPlace(dir, field string) (place, id string, ok bool) {
	m := inList.FindStringSubmatch(field)
	if m == nil {
		return "", "", false
	}
	i, err := strconv.Atoi(m[1])
	if err != nil {
		return "", "", false
	}
	path, err := listPath(dir)
	if err != nil {
		return "", "", false
	}
	list, err := readList(path)
	if err != nil || i >= len(list) {
		return "", "", false
	}
	return fmt.Sprintf("%s:%d", path, list[i].Line), list[i].ID, true
}

// stands reports whether a field, or the mapping that it is in, stands in the manifest of a directory.
func stands(dir, field string) bool {
	top, _, _ := strings.Cut(field, ".")
	_, line := readManifest(dir).Find(top)
	return line > 0
}

// manifestPlace turns the API's name of a field, audience.notice, into its line of the manifest and its name; into the
// manifest and the name where the field does not stand there.
func manifestPlace(dir, field string) string {
	_, line := readManifest(dir).Find(field)
	if line == 0 && field == "broken_domains" {
		_, line = readManifest(dir).Find("broken.domains")
	}
	if line > 0 {
		return fmt.Sprintf("%s:%d %s", filepath.Join(dir, manifest), line, field)
	}
	return fmt.Sprintf("%s %s", filepath.Join(dir, manifest), field)
}

// listPath returns the path of the list that a directory's manifest names.
func listPath(dir string) (string, error) {
	file, _ := readManifest(dir).Find("audience.customers")
	name, err := file.Text()
	return filepath.Join(dir, name), err
}

// readManifest returns what the manifest of a directory holds, nothing where it can't be read any more.
func readManifest(dir string) yaml.Value {
	path := filepath.Join(dir, manifest)
	text, err := os.ReadFile(path)
	if err != nil {
		return yaml.Value{}
	}
	v, _ := yaml.Read(path, text)
	return v
}
