package cldr

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
)

// intl is testdata/intl.json.gz, written by testdata/intl.mjs: the strings of Node's Intl.
type intl struct {
	Moments, Numbers, Percents, Amounts, Currencies, Counts []string
	Ranges, Zones                                           [][2]string
	Lists                                                   [][]string
	Lengths                                                 [][]int64
	PersianMonths                                           [][3]any
	Locales                                                 map[string]map[string][]string
}

func readIntl(t *testing.T) (want intl) {
	t.Helper()
	file, err := os.Open("testdata/intl.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err == nil {
		err = json.NewDecoder(text).Decode(&want)
	}
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// intended are the differences from Intl that are meant: a kind of string, the locales, and why. Two more: dates have plain spaces for
// thin and narrow ones (intl.mjs), and no-break spaces within (unbroken).
var intended = []struct{ kind, locales, reason string }{
	{"ranges", "ja en-AU zh-HK zh-Hant-HK zh-MO zh-Hant-MO", "Intl has another date in ranges than elsewhere (2026/11/9月曜日): ours is the same in both"},
	{"ranges", "th sv-FI", "Intl has one digit for the hour in ranges and two elsewhere, or the other way round: ours is that of CLDR's pattern"},
	{"ranges", "zh-Hant zh-TW zh-MY zh-Hant-MY", "Intl names one part of the day for times in two: ours names both, as CLDR has them for times"},
	{"money", "en-150 en-BE en-CH en-CZ en-DE en-DK en-EE en-ES en-FI en-FR en-GE en-HU en-IT en-LT en-LV en-NL en-NO en-PL en-PT en-RO en-SE en-SI en-SK en-UA",
		"Intl has €1,234.50 beside 1.234,5 in English of Europe: ours is CLDR's, with the same signs in both"},
	{"money", "pt-CV", "Intl puts the sign of Cape Verde's own currency into all others (0$50 €), which CLDR's package does not"},
}

var (
	dated  = map[string]bool{"dates": true, "both": true, "ranges": true}
	spaces = strings.NewReplacer("\u00A0", " ")
)

// wanted returns Intl's strings of a kind in a locale. A region holds only the kinds that differ from its language.
func (w *intl) wanted(tag, kind string) []string {
	for {
		if s, ok := w.Locales[tag][kind]; ok {
			return s
		}
		i := strings.LastIndexByte(tag, '-')
		if i < 0 {
			return nil
		}
		tag = tag[:i]
	}
}

// written returns the strings of l of each kind, in the order of intl.mjs.
func (w *intl) written(t *testing.T, l *Locale) map[string][]string {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02T15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	got := map[string][]string{}
	add := func(kind, s string) { got[kind] = append(got[kind], s) }
	for _, s := range w.Moments {
		add("dates", l.Format.Date(at(s)))
		add("times", l.Format.Clock(at(s)))
		add("both", l.Format.Moment(at(s)))
	}
	for _, r := range w.Ranges {
		add("ranges", l.Interval(at(r[0]), at(r[1])))
	}
	for _, n := range w.Numbers {
		add("numbers", l.Format.Decimal(n))
	}
	for _, n := range w.Percents {
		add("percents", l.Format.Percent(n))
	}
	for _, currency := range w.Currencies {
		for _, n := range w.Amounts {
			if !strings.Contains(n, ".") || currency != "JPY" && currency != "XOF" {
				add("money", l.MoneyOf(n, currency))
			}
		}
	}
	for _, list := range w.Lists {
		add("lists", l.Lists.And(list))
	}
	for _, n := range w.Counts {
		add("plurals", l.Plurals.Category(n))
	}
	for _, parts := range w.Lengths {
		var d time.Duration
		for i, n := range parts {
			d += time.Duration(n) * []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second}[i]
		}
		add("units", l.Duration(d))
	}
	for _, z := range w.Zones {
		zone, err := time.LoadLocation(z[0])
		if err != nil {
			t.Fatal(err)
		}
		add("zones", shortName(l.ZoneNames(zone), at("2026-"+z[1]+"-10T12:00").In(zone)))
	}
	return got
}

func TestEveryLocaleWritesAsIntlDoes(t *testing.T) {
	t.Parallel()
	want := readIntl(t)
	compared, differ, used := 0, map[string]int{}, map[int]bool{}
	for tag := range load().Locales {
		for kind, got := range want.written(t, Find(language.MustParse(tag))) {
			wanted := want.wanted(tag, kind)
			if len(got) != len(wanted) {
				t.Fatalf("%s %s: %d strings, want %d", tag, kind, len(got), len(wanted))
			}
			for i := range got {
				if compared++; got[i] == wanted[i] || dated[kind] && spaces.Replace(got[i]) == spaces.Replace(wanted[i]) {
					continue
				}
				meant := false
				for k, d := range intended {
					if d.kind == kind && slices.Contains(strings.Fields(d.locales), tag) {
						meant, used[k] = true, true
						break
					}
				}
				if !meant {
					t.Errorf("%s %s %d: want %q, got %q", tag, kind, i, wanted[i], got[i])
					differ[kind]++
				}
			}
		}
	}
	for i, d := range intended {
		if !used[i] {
			t.Errorf("%s of %s no longer differ", d.kind, d.locales)
		}
	}
	if compared < 50_000 {
		t.Errorf("%d strings are too few", compared)
	}
	t.Logf("%d strings compared, unexplained differences: %v", compared, differ)
}

func TestThePersianCalendarIsRightForDecades(t *testing.T) {
	t.Parallel()
	for _, first := range readIntl(t).PersianMonths {
		at, err := time.Parse(time.DateOnly, first[0].(string))
		if err != nil {
			t.Fatal(err)
		}
		if y, m, d := persian(at); float64(y) != first[1] || float64(m) != first[2] || d != 1 {
			t.Fatalf("%s is %d-%d-%d, want %v-%v-1", first[0], y, m, d, first[1], first[2])
		}
	}
}
