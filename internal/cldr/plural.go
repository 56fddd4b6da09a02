package cldr

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

// Other is the category of the numbers that have no other one.
const Other = "other"

// Categories are the categories that the numbers of languages fall into (UTS #35, Language Plural Rules).
var Categories = []string{"zero", "one", "two", "few", "many", Other}

// Plurals tells the category of numbers. It is encoded as the rules of the categories, without Other.
type Plurals struct {
	rules  map[string]string
	parsed []pluralRule
}

// pluralRule is the rule of a category: one of the lists of relations, all of which have to hold.
type pluralRule struct {
	category string
	any      [][]relation
}

// relation is such as "i % 10 = 2..4,9".
type relation struct {
	operand byte
	modulus uint64 // 0 = none
	not     bool
	ranges  [][2]uint64
}

// plurals returns the rules of a language; none, so that all is Other, where CLDR has none. Portuguese of Portugal alone has
// rules of its own.
func (t *table) plurals(tag language.Tag) *Plurals {
	base, _, region := tag.Raw()
	for _, name := range []string{base.String() + "-" + region.String(), base.String()} {
		if i, ok := t.Rules[name]; ok {
			return &t.Plurals[i]
		}
	}
	return &Plurals{}
}

// MarshalJSON encodes the rules.
func (p *Plurals) MarshalJSON() ([]byte, error) { return json.Marshal(p.rules) }

// UnmarshalJSON reads the rules.
func (p *Plurals) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &p.rules); err != nil {
		return err
	}
	return p.parse()
}

// parse reads the text of each rule.
func (p *Plurals) parse() error {
	p.parsed = nil
	for _, category := range Categories {
		text, ok := p.rules[category]
		if !ok {
			continue
		}
		rule := pluralRule{category: category}
		for _, all := range strings.Split(text, " or ") {
			var relations []relation
			for _, s := range strings.Split(all, " and ") {
				r, err := parseRelation(s)
				if err != nil {
					return fmt.Errorf("plural rule of %s: %w", category, err)
				}
				relations = append(relations, r)
			}
			rule.any = append(rule.any, relations)
		}
		p.parsed = append(p.parsed, rule)
	}
	return nil
}

func parseRelation(s string) (r relation, err error) {
	f := strings.Fields(s)
	if len(f) == 5 && f[1] == "%" {
		if r.modulus, err = strconv.ParseUint(f[2], 10, 32); err != nil || r.modulus == 0 {
			return r, fmt.Errorf("%q has no modulus", s)
		}
		f = append(f[:1], f[3:]...)
	}
	if len(f) != 3 || len(f[0]) != 1 || !strings.Contains("nivwftce", f[0]) || f[1] != "=" && f[1] != "!=" {
		return r, fmt.Errorf("%q is no relation", s)
	}
	r.operand, r.not = f[0][0], f[1] == "!="
	for _, span := range strings.Split(f[2], ",") {
		low, high, ok := strings.Cut(span, "..")
		if !ok {
			high = low
		}
		var pair [2]uint64
		for i, n := range []string{low, high} {
			if pair[i], err = strconv.ParseUint(n, 10, 32); err != nil {
				return r, fmt.Errorf("%q holds %q, which is no number", s, n)
			}
		}
		r.ranges = append(r.ranges, pair)
	}
	return r, nil
}

// Category returns the category of a decimal number such as -1 or 2.50, as it is written: 1.0 may differ from 1.
func (p *Plurals) Category(number string) string {
	if p == nil || len(p.parsed) == 0 {
		return Other
	}
	o := operandsOf(number)
	for _, rule := range p.parsed {
		for _, all := range rule.any {
			if !slices.ContainsFunc(all, func(r relation) bool { return !o.holds(r) }) {
				return rule.category
			}
		}
	}
	return Other
}

// Needed returns the categories that whole numbers below a thousand have, and Other.
func (p *Plurals) Needed() []string {
	seen := map[string]bool{Other: true}
	for n := range 1000 {
		seen[p.Category(strconv.Itoa(n))] = true
	}
	return slices.DeleteFunc(slices.Clone(Categories), func(c string) bool { return !seen[c] })
}

// operands are those of UTS #35: n is i and the fraction.
type operands struct{ i, v, w, f, t uint64 }

func operandsOf(number string) operands {
	whole, fraction, _ := strings.Cut(strings.TrimLeft(number, "+-"), ".")
	short := strings.TrimRight(fraction, "0")
	return operands{tail(whole), uint64(len(fraction)), uint64(len(short)), tail(fraction), tail(short)}
}

// tail returns a whole number; of one that is too large, one that is large too and ends in the same digits.
func tail(digits string) uint64 {
	if digits = strings.TrimLeft(digits, "0"); len(digits) > 18 {
		digits = "1" + digits[len(digits)-18:]
	}
	n, _ := strconv.ParseUint(digits, 10, 64)
	return n
}

func (o operands) holds(r relation) bool {
	n := map[byte]uint64{'n': o.i, 'i': o.i, 'v': o.v, 'w': o.w, 'f': o.f, 't': o.t}[r.operand] // c and e are 0: nothing is written as 1.2M
	if r.operand == 'n' && o.t != 0 {
		return r.not // every rule names whole numbers
	}
	if r.modulus > 0 {
		n %= r.modulus
	}
	return r.not != slices.ContainsFunc(r.ranges, func(span [2]uint64) bool { return span[0] <= n && n <= span[1] })
}
