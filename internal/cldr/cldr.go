// Package cldr writes dates, times, ranges, numbers, lists, durations, money and the names of zones as the Unicode Common
// Locale Data Repository (CLDR) has them, for some 90 languages and their regions.
//
// generate/generate.mjs made table.json from CLDR's own packages. A locale writes in its default calendar, where that is
// the Gregorian, the Persian or the Buddhist one, and in its default digits. For a language without tables each method
// of a nil value writes as ISO 8601 and the SI have it, the same in every language.
package cldr

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"golang.org/x/text/language"
)

//go:embed table.json
var tableFile []byte

// Locale is how one locale writes. Its parts may be nil, apart from Plurals.
type Locale struct {
	Format    *Format
	Ranges    *Ranges
	Lists     *Lists
	Durations Durations
	Money     *Money
	Plurals   *Plurals

	zones map[string][2]string // standard and daylight names, by zone and metazone
}

// The parts of a locale, as table.json numbers them.
const (
	partFormat = iota
	partNumber
	partRanges
	partLists
	partDurations
	partMoney
	partZones
	parts
)

// table is table.json.
type table struct {
	Script     string                 `json:"script"` // the checksum of the script that made it
	Names      [][]string             `json:"names"`
	Formats    []Format               `json:"formats"`
	Numbers    []Number               `json:"numbers"`
	Ranges     []Ranges               `json:"ranges"`
	Lists      []Lists                `json:"lists"`
	Durations  []Durations            `json:"durations"`
	Money      []Money                `json:"money"`
	Zones      []map[string][2]string `json:"zones"`
	Plurals    []Plurals              `json:"plurals"`
	Locales    map[string][parts]int  `json:"locales"`
	Rules      map[string]int         `json:"rules"` // of plurals, by language
	Currencies map[string]int         `json:"currencies"`
	Symbols    map[string]string      `json:"symbols"` // of currencies, in most locales
	Metazones  map[string]metazone    `json:"metazones"`

	metazones map[string][]string // by zone: it may have a name of its own for summer, and share that for winter
	formats   map[[2]int]*Format  // by number of the format and of how numbers are written
}

var load = sync.OnceValue(func() *table {
	t := &table{formats: map[[2]int]*Format{}, metazones: map[string][]string{}}
	if err := json.Unmarshal(tableFile, t); err != nil {
		panic(fmt.Sprintf("read the embedded CLDR tables: %v", err))
	}
	for _, parts := range t.Locales {
		key := [2]int{parts[partFormat], parts[partNumber]}
		f := t.Formats[key[0]]
		f.Number, f.DatePattern = t.Numbers[key[1]], unbroken(f.DatePattern)
		f.Names = [][]string{t.Names[f.Months], t.Names[f.Weekdays]}
		if f.Periods >= 0 {
			f.Names = append(f.Names, t.Names[f.Periods])
		}
		t.formats[key] = &f
	}
	for i := range t.Money {
		t.Money[i].fill(t)
	}
	for name, m := range t.Metazones {
		for _, zone := range m.Zones {
			t.metazones[zone] = append(t.metazones[zone], name)
		}
	}
	return t
})

// Find returns how a locale writes, or the nearest parent of it that has tables.
func Find(tag language.Tag) *Locale {
	t := load()
	l := &Locale{Plurals: t.plurals(tag)}
	base, script, region := tag.Raw()
	tag, err := language.Compose(base, script, region)
	for ; err == nil && tag != language.Und; tag = tag.Parent() {
		if p, ok := t.Locales[tag.String()]; ok {
			l.Format, l.Ranges, l.Lists = t.formats[[2]int{p[partFormat], p[partNumber]}], &t.Ranges[p[partRanges]], &t.Lists[p[partLists]]
			l.Durations, l.Money, l.zones = t.Durations[p[partDurations]], &t.Money[p[partMoney]], t.Zones[p[partZones]]
			return l
		}
	}
	return l
}
