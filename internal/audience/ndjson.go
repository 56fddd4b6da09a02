package audience

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// cellError is what is wrong with one member of an object.
type cellError struct{ column, reason string }

func (e *cellError) Error() string { return e.column + " " + e.reason }

// nextObject reads lines until one is not blank.
func (r *Reader) nextObject() (row notice.CustomerRow, _ *notice.Rejection, err error) {
	for {
		r.lines.keep()
		ln, err := r.lines.next()
		switch {
		case err != nil:
			return row, nil, err
		case ln.long:
			return row, reject(ln.number, "", lineTooLong), nil
		case strings.TrimSpace(ln.text) == "":
			continue
		case !utf8.ValidString(ln.text):
			// Else the decoder would put U+FFFD for what is broken.
			return row, reject(ln.number, "", "is not UTF-8"), nil
		}
		row = newRow(ln.number)
		err = r.object(&row, json.NewDecoder(strings.NewReader(ln.text)))
		if cell, ok := errors.AsType[*cellError](err); ok {
			return row, reject(ln.number, cell.column, cell.reason), nil
		}
		if err != nil {
			return row, reject(ln.number, "", "is not one JSON object"), nil
		}
		return row, nil, nil
	}
}

// object decodes one customer. Its error is a *cellError, or any other if the line is no JSON object. Members
// are walked one by one because a decoder into a struct would let the last of two equal names win.
func (r *Reader) object(row *notice.CustomerRow, d *json.Decoder) error {
	d.UseNumber()
	err := members(d, "", func(name string) error {
		if name == "attributes" {
			return r.attributes(row, d)
		}
		if !slices.Contains(columns, name) {
			return &cellError{shorten(name), "is no field of a customer; attributes stand in \"attributes\""}
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		text, ok := value.(string)
		if !ok && value != nil {
			return &cellError{name, "must be text in quotes"}
		}
		if reason := r.check.column(row, name, text); reason != "" {
			return &cellError{name, reason}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more than one object in a line")
	}
	if row.Customer.ID == "" {
		return &cellError{columnID, "is missing"}
	}
	return nil
}

func (r *Reader) attributes(row *notice.CustomerRow, d *json.Decoder) error {
	return members(d, "attributes", func(name string) error {
		if reason := badAttributeName(name); reason != "" {
			return &cellError{attributeField(name), reason}
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		var text string
		switch v := value.(type) {
		case nil:
		case string:
			text = v
		case json.Number:
			text = v.String()
		case bool:
			text = fmt.Sprint(v)
		default:
			return &cellError{attributeField(name), "must be text, a number, true or false"}
		}
		if reason := r.check.attribute(row, name, text); reason != "" {
			return &cellError{attributeField(name), reason}
		}
		return nil
	})
}

// members calls member with the name of each member of the object that comes next; member reads the value.
// column names the object in errors, "" for the line's own.
func members(d *json.Decoder, column string, member func(name string) error) error {
	begin, err := d.Token()
	switch {
	case err != nil:
		return err
	case column != "" && begin == nil: // null is absent
		return nil
	case begin != json.Delim('{') && column == "":
		return errors.New("no object")
	case begin != json.Delim('{'):
		return &cellError{column, "must be an object of names and texts"}
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if seen[name] {
			return &cellError{strings.TrimPrefix(column+"."+shorten(name), "."), "stands there twice"}
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
