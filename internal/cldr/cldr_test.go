package cldr

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
)

// make generate with --check compares the whole table, and needs the network; this tells that the script is not the one that wrote it.
func TestTheTableIsOfTheScriptThatIsThere(t *testing.T) {
	t.Parallel()
	sum := sha256.New()
	for _, name := range []string{"generate.mjs", "package-lock.json"} {
		content, err := os.ReadFile("generate/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(content)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != load().Script {
		t.Errorf("table.json was written by another script: run make generate")
	}
	if len(tableFile) > 160<<10 {
		t.Errorf("table.json has %d bytes, more than 160 KB", len(tableFile))
	}
}

func TestTheTablesAreComplete(t *testing.T) {
	t.Parallel()
	for i := range load().Plurals {
		if p := &load().Plurals[i]; len(p.parsed) != len(p.rules) {
			t.Errorf("rules that can't be read: %v", p.rules)
		}
	}
	for tag := range load().Locales {
		l := Find(language.MustParse(tag))
		if !l.Format.Complete() {
			t.Errorf("%s lacks names", tag)
		}
		for _, patterns := range [][4]string{l.Lists.All, l.Lists.Parts} {
			for _, p := range patterns {
				if !strings.HasPrefix(p, "{0}") || !strings.HasSuffix(p, "{1}") {
					t.Errorf("%s has the list pattern %q", tag, p)
				}
			}
		}
	}
}

func TestALocaleWithoutTablesIsWrittenAsISO(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 9, 21, 5, 0, 0, time.UTC)
	for _, tag := range []string{"yi", "tlh", "sr-Arab"} {
		l := Find(language.MustParse(tag))
		got := strings.Join([]string{l.Format.Moment(at), l.Interval(at, at.Add(time.Hour)), l.Interval(at, at.Add(24*time.Hour)), l.Format.Decimal("12345.6"),
			l.Format.Percent("-5"), l.MoneyOf("-7", "EUR"), l.Lists.And([]string{"a", "b"}), l.Duration(90 * time.Minute)}, "|")
		want := "2026-11-09 21:05|2026-11-09 21:05 – 22:05|2026-11-09 21:05 – 2026-11-10 21:05|12345.6|-5\u00a0%|EUR\u00a0-7.00|a, b|1 h 30 min"
		if got != want {
			t.Errorf("%s: got %q, want %q", tag, got, want)
		}
	}
	if f := Find(language.MustParse("de-u-nu-arab")).Format; f.Date(at) != "Montag, 9.\u00A0November\u00A02026" {
		t.Errorf("an extension hides the language: %s", f.Date(at))
	}
	if one := Find(language.MustParse("yi")).Plurals.Category("1"); one != "one" {
		t.Errorf("the plural of a language without tables: %s", one)
	}
}

func TestZonesAreNamedForTheMoment(t *testing.T) {
	t.Parallel()
	winter, summer := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC), time.Date(2026, 7, 10, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		language, zone string
		start, end     time.Time
		want           string
	}{
		{"de", "Europe/Berlin", winter, winter, "MEZ,\u00a0UTC+1"},
		{"de", "Europe/Berlin", summer, winter, "MESZ\u00a0→\u00a0MEZ,\u00a0UTC+2\u00a0→\u00a0UTC+1"},
		{"sv", "Europe/Stockholm", summer, summer, "CEST,\u00a0UTC+2"},
		{"en-GB", "Europe/London", winter, winter, "GMT,\u00a0UTC+0"},
		{"en-GB", "Europe/London", summer, summer, "BST,\u00a0UTC+1"},
		{"en-US", "US/Eastern", winter, winter, "EST,\u00a0UTC−5"},
		{"en-IN", "Asia/Kolkata", winter, winter, "IST,\u00a0UTC+5:30"},
		{"fr", "Europe/Paris", winter, winter, "Europe/Paris,\u00a0UTC+1"},
		{"nl", "Asia/Tokyo", winter, winter, "Asia/Tokyo,\u00a0UTC+9"},
		{"nl", "Etc/GMT-3", winter, winter, "UTC+3"},
		{"nl", "UTC", winter, winter, "UTC"},
	} {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		l := Find(language.MustParse(tt.language))
		if got := Zone(l.ZoneNames(zone), tt.start.In(zone), tt.end.In(zone)); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.language, tt.zone, got, tt.want)
		}
	}
}

func TestAmountsAreNeverRounded(t *testing.T) {
	t.Parallel()
	l := Find(language.German)
	for number, want := range map[string]string{"0.0025": "0,0025\u00a0€", "12.50": "12,50\u00a0€", "-0": "-0,00\u00a0€", "+1000.1": "1.000,10\u00a0€"} {
		if got := l.MoneyOf(number, "EUR"); got != want {
			t.Errorf("%s: got %q, want %q", number, got, want)
		}
	}
}

// TestADateStaysInALine in every locale: no line is ended between its day, its month and its year.
func TestADateStaysInALine(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{"de": "Montag, 9.\u00A0November\u00A02026", "en": "Monday, November\u00A09,\u00A02026",
		"es": "lunes, 9\u00A0de\u00A0noviembre\u00A0de\u00A02026", "ja": "2026年11月9日月曜日"} {
		if got := Find(language.MustParse(tag)).Format.Date(time.Date(2026, 11, 9, 12, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("%s: got %q, want %q", tag, got, want)
		}
	}
	for key, f := range load().formats {
		first, last := min(strings.Index(f.DatePattern, "{d}"), strings.Index(f.DatePattern, "{M}")), strings.Index(f.DatePattern, "{M}")
		if within := f.DatePattern[first:max(last, strings.Index(f.DatePattern, "{d}"))]; strings.Contains(within, " ") && !strings.Contains(within, "{w}") {
			t.Errorf("format %v: %q", key, f.DatePattern)
		}
	}
}
