package cldr

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Number is how decimal numbers are written.
type Number struct {
	Digits  string `json:"digits"`
	Decimal string `json:"decimal"`
	Group   string `json:"group"`
	Minus   string `json:"minus"`
	First   int    `json:"first"`             // digits of the group before the decimal sign
	Next    int    `json:"next"`              // of the groups before that
	Least   int    `json:"least"`             // digits that must stand before the first group sign
	Percent string `json:"percent,omitempty"` // {n} and the sign

	digits []rune
}

// UnmarshalJSON reads how numbers are written, and takes the ten digits apart.
func (n *Number) UnmarshalJSON(b []byte) error {
	type plain Number
	if err := json.Unmarshal(b, (*plain)(n)); err != nil {
		return err
	}
	n.digits = []rune(n.Digits)
	return nil
}

// Decimal writes a decimal number, digit for digit.
func (f *Format) Decimal(number string) string {
	if f == nil {
		return strings.TrimPrefix(number, "+")
	}
	return f.Number.signed(number, "{n}")
}

// Percent writes a decimal number, digit for digit, as so many per cent.
func (f *Format) Percent(number string) string {
	if f == nil {
		return strings.TrimPrefix(number, "+") + "\u00a0%"
	}
	return f.Number.signed(number, f.Number.Percent)
}

// signed writes a number in a pattern, with the minus sign before that.
func (n *Number) signed(number, pattern string) string {
	s := strings.Replace(pattern, "{n}", n.write(strings.TrimLeft(number, "+-")), 1)
	if number[0] == '-' {
		return n.Minus + s
	}
	return s
}

// write writes a decimal number that has no sign.
func (n *Number) write(s string) string {
	whole, fraction, hasFraction := strings.Cut(s, ".")
	whole = strings.TrimLeft(whole[:len(whole)-1], "0") + whole[len(whole)-1:]
	out := n.translate(n.grouped(whole))
	if hasFraction {
		out += n.Decimal + n.translate(fraction)
	}
	return out
}

// local writes a number of a date or time.
func (n *Number) local(i int, two bool) string {
	s := strconv.Itoa(i)
	if two && len(s) < 2 {
		s = "0" + s
	}
	return n.translate(s)
}

// translate puts the locale's digits for ASCII ones.
func (n *Number) translate(s string) string {
	if n.digits[0] == '0' {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return n.digits[r-'0']
		}
		return r
	}, s)
}

func (n *Number) grouped(whole string) string {
	size := n.First
	if size == 0 || len(whole) < size+n.Least {
		return whole
	}
	var groups []string
	for len(whole) > size {
		groups = append([]string{whole[len(whole)-size:]}, groups...)
		whole = whole[:len(whole)-size]
		size = n.Next
	}
	return strings.Join(append([]string{whole}, groups...), n.Group)
}
