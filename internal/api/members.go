package api

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// uniqueMembers refuses a JSON value in which an object names a member twice: decoders take the last of them
// (RFC 8259 §4), and the sender may have meant the first.
func uniqueMembers(data []byte) error {
	_, err := membersOf(json.NewDecoder(bytes.NewReader(data)))
	return err
}

// membersOf reads the next value and reports whether it was one, or the end of a list or an object.
func membersOf(dec *json.Decoder) (value bool, err error) {
	token, err := dec.Token()
	if err != nil {
		return false, jsonError(err)
	}
	switch token {
	case json.Delim('['):
		for value = true; value && err == nil; {
			value, err = membersOf(dec)
		}
		return true, err
	case json.Delim('{'):
		return true, uniqueNames(dec)
	}
	_, ends := token.(json.Delim)
	return !ends, nil
}

// uniqueNames reads an object to its end.
func uniqueNames(dec *json.Decoder) error {
	seen := map[string]bool{}
	for {
		token, err := dec.Token()
		if err != nil {
			return jsonError(err)
		}
		name, ok := token.(string)
		if !ok { // the end
			return nil
		}
		if seen[name] {
			return fmt.Errorf("an object of the body names a member twice, the second time before byte %d", dec.InputOffset())
		}
		seen[name] = true
		if _, err := membersOf(dec); err != nil {
			return err
		}
	}
}
