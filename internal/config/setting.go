package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tocsin/internal/yaml"
)

// Setting is a row of the table of settings, from which flags, --help, the README's table and tocsin.yaml come.
type Setting struct {
	Name    string // of its variable; "" = only the file has it
	Key     string // in the file; "" = the name without TOCSIN_, in lower case, and none for a secret; "-" = none
	Secret  bool   // has no flag, is never shown, and <Name>_FILE reads it from a file
	Value   string // the placeholder of its value in --help
	Default string // as it would be set; "" = none
	Without string // in place of a default, for --help and the README, such as "for ever"
	Example string // of a value, where there is no default
	Sample  string // how tocsin.yaml shows it, where that is not Key: Default or Example
	Doc     string // its purpose, in sentences

	path  bool                           // a relative path in the file is one from the directory of the file
	parse func(text string) (any, error) // for a setting that is one text; its error completes "the setting …"
	keep  func(*file, yaml.Value) error  // for one that is a list or a mapping in the file: called when the file is read
	read  func(*reader) any              // and this when the setting is, in the place of parse
}

// FileKey returns the setting's key in the file, "" if it can't stand there.
func (s Setting) FileKey() string {
	switch {
	case s.Key == "-" || s.Key == "" && s.Secret:
		return ""
	case s.Key != "":
		return s.Key
	}
	return fileKey(s.Name)
}

// Flag returns the name of the setting's flag, "" if it has none.
func (s Setting) Flag() string {
	if s.Secret || s.Name == "" {
		return ""
	}
	return flagName(s.Name)
}

// ID returns the variable of the setting, or its key where only the file has it.
func (s Setting) ID() string {
	if s.Name == "" {
		return s.Key
	}
	return s.Name
}

// Unset returns the default of the setting, or the words of Without if it has none.
func (s Setting) Unset() string {
	if s.Default != "" {
		return s.Default
	}
	return s.Without
}

// Named returns the setting with that variable, or with that key where only the file has it. It panics if there is none.
func Named(id string) Setting {
	for _, s := range table {
		if s.ID() == id {
			return s
		}
	}
	panic(fmt.Sprintf("there is no setting %q", id))
}

// Used returns the settings that the fields of structs such as Work are filled from, in the order of the table.
func Used(by ...any) []Setting {
	used := map[string]bool{}
	for _, b := range by {
		fields(reflect.ValueOf(b), func(_ reflect.Value, s Setting) { used[s.ID()] = true })
	}
	return slices.DeleteFunc(slices.Clone(table), func(s Setting) bool { return !used[s.ID()] })
}

// fields calls visit for each field of a struct, and of the structs in it, that is tagged as setting:"<ID>".
func fields(of reflect.Value, visit func(reflect.Value, Setting)) {
	for i := range of.NumField() {
		if id, ok := of.Type().Field(i).Tag.Lookup("setting"); ok {
			visit(of.Field(i), Named(id))
		} else if of.Field(i).Kind() == reflect.Struct {
			fields(of.Field(i), visit)
		}
	}
}

func flagName(name string) string { return strings.ReplaceAll(fileKey(name), "_", "-") }

func fileKey(name string) string { return strings.ToLower(strings.TrimPrefix(name, "TOCSIN_")) }

// Changed returns the settings, by their IDs, that differ between two values of a struct such as Work.
func Changed(a, b any) (ids []string) {
	values := map[string]any{}
	fields(reflect.ValueOf(a), func(v reflect.Value, s Setting) { values[s.ID()] = v.Interface() })
	fields(reflect.ValueOf(b), func(v reflect.Value, s Setting) {
		if !reflect.DeepEqual(values[s.ID()], v.Interface()) {
			ids = append(ids, s.ID())
		}
	})
	return ids
}
