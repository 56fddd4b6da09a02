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

// notJSON returns an error for a file that begins like anything else than NDJSON.
func notJSON(first string) error {
	reason := ""
	switch begin := strings.TrimFunc(first, isBlankOrMark); {
	case strings.HasPrefix(begin, "["):
		reason = "is a JSON array; write one object a line, without brackets and commas around them"
	case strings.HasPrefix(begin, "<"):
		reason = "is HTML or XML, not NDJSON"
	default:
		return nil
	}
	return notice.Invalid("file", "%s", reason)
}

// cellError is the fault in one member of an object.
type cellError struct{ column, reason string }

func (e *cellError) Error() string { return e.column + " " + e.reason }

// nesting follows the quotes and brackets of a JSON text. A line that ends inside one is more than an object with a
// mistake: the lines behind it may be text of the same value.
type nesting struct {
	depth            int
	inText, escaping bool
}

func (n *nesting) feed(piece []byte) {
	for _, b := range piece {
		switch {
		case n.escaping:
			n.escaping = false
		case n.inText:
			n.inText, n.escaping = b != '"', b == '\\'
		case b == '"':
			n.inText = true
		case b == '{', b == '[':
			n.depth++
		case b == '}', b == ']':
			n.depth--
		}
	}
}

// open says how a line left its value open, "" where it did not.
func (n *nesting) open() string {
	switch {
	case n.inText:
		return "ends inside a text in quotes; write a line break in it as \\n"
	case n.depth > 0:
		return "ends before its object does; write one object a line"
	}
	return ""
}

// nextObject reads lines until one is not blank.
func (r *Reader) nextObject() (row notice.CustomerRow, _ *notice.Rejection, err error) {
	for {
		var nest nesting
		ln, err := r.lines.next(nest.feed)
		if err != nil {
			return row, nil, err
		}
		if open := nest.open(); open != "" {
			return row, nil, openText(ln.number, open)
		}
		switch {
		case ln.long:
			return row, reject(ln.number, "", lineTooLong), nil
		case strings.TrimFunc(ln.text, isBlankOrMark) == "":
			continue
		case !utf8.ValidString(ln.text):
			// Else the decoder would put U+FFFD for broken bytes.
			return row, reject(ln.number, "", "is not UTF-8"), nil
		}
		row = newRow(ln.number)
		err = r.check.object(&row, ln.text)
		if cell, ok := errors.AsType[*cellError](err); ok {
			return row, reject(ln.number, cell.column, cell.reason), nil
		}
		if err != nil {
			return row, reject(ln.number, "", "is not one JSON object"), nil
		}
		return row, nil, nil
	}
}

// object decodes one customer. Its error is a *cellError, or any other if the text is no JSON object. Members
// are walked one by one because a decoder into a struct would let the last of two equal names win.
func (c *checker) object(row *notice.CustomerRow, text string) error {
	d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	d.UseNumber()
	err := members(d, "", func(name string) error {
		if name == "attributes" {
			return c.attributes(row, d)
		}
		if !slices.Contains(columns, name) {
			hint := ""
			if near := nearField(name); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return &cellError{shorten(name), "is no field of a customer; attributes stand in \"attributes\"" + hint}
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		text, ok := value.(string)
		if !ok && value != nil {
			return &cellError{name, "must be text in quotes"}
		}
		row.Given |= fieldBits[name]
		if reason := c.column(row, name, text); reason != "" {
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

// attributes decodes the attributes that a row gives; null empties all of them.
func (c *checker) attributes(row *notice.CustomerRow, d *json.Decoder) error {
	null, err := objectOrNull(d, "attributes", func(name string) error {
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
		if reason := c.attribute(row, name, text); reason != "" {
			return &cellError{attributeField(name), reason}
		}
		return nil
	})
	if null {
		row.Given |= notice.GivenAttributes
	}
	return err
}

func members(d *json.Decoder, column string, member func(name string) error) error {
	_, err := objectOrNull(d, column, member)
	return err
}

// objectOrNull calls member with the name of each member of the object that comes next; member reads the value.
// column names the object in errors, "" for the line's own, which can't be null. Names that differ by case alone are
// the same.
func objectOrNull(d *json.Decoder, column string, member func(name string) error) (null bool, err error) {
	begin, err := d.Token()
	switch {
	case err != nil:
		return false, err
	case column != "" && begin == nil:
		return true, nil
	case begin != json.Delim('{') && column == "":
		return false, errors.New("no object")
	case begin != json.Delim('{'):
		return false, &cellError{column, "must be an object of names and texts"}
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return false, err
		}
		name, _ := key.(string)
		if seen[strings.ToLower(name)] {
			return false, &cellError{strings.TrimPrefix(column+"."+shorten(name), "."), "stands there twice"}
		}
		seen[strings.ToLower(name)] = true
		if err := member(name); err != nil {
			return false, err
		}
	}
	_, err = d.Token()
	return false, err
}
