package directory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// audience reads the audience: a filter, or a mapping that names a list or an earlier notice too.
func (d doc) audience(to *notice.Audience) reader {
	return func(name string, n *yaml.Node) error {
		if n.Kind != yaml.MappingNode {
			return into(d, &to.Filter)(name, n)
		}
		err := d.fields("field of an audience", n, map[string]reader{
			"filter":      into(d, &to.Filter),
			"customers":   d.customers(&to.Customers),
			"notice":      into(d, &to.Notice),
			"include_new": d.flag(&to.IncludeNew),
		})
		switch {
		case err != nil:
			return err
		case to.Customers != nil && to.Notice != "":
			return d.wrong(n, "an audience is either a list of customers or an earlier notice's, not both")
		case to.IncludeNew && to.Notice == "":
			return d.wrong(n, "include_new goes with notice: it adds who has come to an earlier notice's audience since")
		}
		return nil
	}
}

// customers reads the list that a field names, a file beside the manifest.
func (d doc) customers(to *[]string) reader {
	return func(name string, n *yaml.Node) error {
		file, err := d.text(name, n)
		if err != nil {
			return err
		}
		if file == "" || filepath.Base(file) != file || strings.HasPrefix(file, ".") {
			return d.wrong(n, "customers: %q is not the name of a file beside %s, such as list.csv", file, manifest)
		}
		list, err := readList(filepath.Join(filepath.Dir(d.path), file))
		if errors.Is(err, os.ErrNotExist) {
			return d.wrong(n, "customers: there is no file %s beside %s", file, manifest)
		}
		for _, l := range list {
			*to = append(*to, l.ID)
		}
		return err
	}
}

func (d doc) flag(to *bool) reader {
	return func(name string, n *yaml.Node) error {
		text, err := d.text(name, n)
		if err == nil && text != "true" && text != "false" {
			err = d.wrong(n, "%s: %q is neither true nor false", name, text)
		}
		*to = text == "true"
		return err
	}
}

// readList reads a list of customers. Its error names the file and the line.
func readList(path string) ([]audience.ListedID, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the list: %w", err)
	}
	defer f.Close()
	list, err := audience.ReadList(f)
	if e, ok := errors.AsType[*notice.Error](err); ok {
		field := path
		if line, ok := strings.CutPrefix(e.Field, "line "); ok {
			field += ":" + line
		}
		return nil, notice.Invalid(field, "%s", e.Message)
	}
	return list, err
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

// manifestPlace turns the API's name of a field, audience.notice, into its line of the manifest and its name; the name
// alone where it does not stand there.
func manifestPlace(dir, field string) string {
	path := filepath.Join(dir, manifest)
	text, err := os.ReadFile(path)
	var root yaml.Node
	if err != nil || yaml.Unmarshal(text, &root) != nil || len(root.Content) == 0 {
		return field
	}
	n, line := root.Content[0], 0
	for name := range strings.SplitSeq(field, ".") {
		var found *yaml.Node
		for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				found, line = follow(n.Content[i+1]), n.Content[i].Line
			}
		}
		n = found
	}
	if line == 0 {
		return field
	}
	return fmt.Sprintf("%s:%d %s", path, line, field)
}

// listPath returns the path of the list that a directory's manifest names.
func listPath(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifest))
	if err != nil {
		return "", err
	}
	var m struct {
		Audience struct {
			Customers string `yaml:"customers"`
		} `yaml:"audience"`
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		return "", err
	}
	return filepath.Join(dir, m.Audience.Customers), nil
}
