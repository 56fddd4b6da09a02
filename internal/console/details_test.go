package console

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

func TestTheDetailsOfActsAreInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	f := &Frame{Lang: "de", Zone: time.FixedZone("CET", 3600), words: readWords().of["de"], print: message.NewPrinter(language.German)}
	for detail, want := range map[string]string{
		"":                 "",
		"12000 recipients": "12.000 Empfänger",
		"at most 500 recipients, resolved when it leaves, allowed: drift":                              "höchstens 500 Empfänger, beim Versand ermittelt, zugelassen: drift",
		"recipient 7, another address of a customer of recipient 3":                                    "Empfänger 7, weitere Adresse eines Kunden von Empfänger 3",
		"2, from 2026-11-09T21:00:00Z until 2026-11-10T00:00:00Z: power feeds, main, for 5 recipients": "2, von 2026-11-09 22:00:00 CET bis 2026-11-10 01:00:00 CET: power feeds, main, for 5 recipients",
		"3, from 2026-11-09T21:00:00Z until it is removed":                                             "3, von 2026-11-09 22:00:00 CET, bis sie aufgehoben wird",
		"gmail.com, 20/s, 8 at once until it is cleared":                                               "gmail.com, 20/s, 8 zugleich, bis sie aufgehoben wird",
		"gmail.com, 5000/h until 2026-11-09T21:00:00Z":                                                 "gmail.com, 5000/h bis 2026-11-09 22:00:00 CET",
		"main, until it is resumed: the provider asked for it":                                         "main, bis er wieder sendet: the provider asked for it",
		"from 2026-11-09T21:00:00Z to 2026-11-09T22:00:00Z":                                            "von 2026-11-09 22:00:00 CET auf 2026-11-09 23:00:00 CET",
		"bob, from viewer to sender, as https://i.example says":                                        "bob, von viewer auf sender, wie https://i.example sagt",
		"3 deliveries, failed with 554 at main, by force 2 after notice n2":                            "3 E-Mails, Fehlgeschlagen mit 554 bei main, erzwungen 2 nach Meldung n2",
		"4 rows: 1 inserted, 2 updated, 1 rejected, 3 retired":                                         "4 Zeilen: 1 neu, 2 geändert, 1 abgelehnt, 3 stillgelegt",
		"2 mails to example.com: en sent, zh-Hant later":                                               "2 E-Mails an example.com: en: gesendet, zh-Hant: aufgeschoben",
		"rows n1 7, n2 3, and 4 more":                                                                  "Zeilen n1 7, n2 3, und 4 weitere",
		"a relay refuses everybody: main: 554 no, 3 in a row":                                          "", // below
		"2000 recipients, plan 0123456789ab":                                                           "2.000 Empfänger, Plan 0123456789ab",
		"2000 recipients, plan 012345678901: nobody is awake":                                          "2.000 Empfänger, Plan 012345678901: nobody is awake",
		"hole": "der Text hätte ein leeres Feld gehabt",
		"ada":  "ada",
	} {
		if got := f.Detail(detail); got != want && want != "" {
			t.Errorf("%q: %q, want %q", detail, got, want)
		} else if strings.Contains(got, "in a row") || strings.Contains(got, "%!") {
			t.Errorf("%q: %q", detail, got)
		}
	}
}

// TestEveryActOfTheLedgerHasAName: the log would show an act without one by its code, in English.
func TestEveryActOfTheLedgerHasAName(t *testing.T) {
	t.Parallel()
	english, found := readWords().of["en"], 0
	files, _ := filepath.Glob("../ledger/*.go")
	for _, file := range files {
		if strings.Contains(file, "_test.") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:record(?:Act|Other|Press)\(ctx, tx, [^"\n]*(?:"tocsin", )?|\bwhat :?= |takingBack = |\.setRelay\([^"\n]*)"([a-z -]+)"`).FindAllStringSubmatch(string(text), -1) {
			found++
			if english["act."+m[1]] == "" {
				t.Errorf("%s records %q, which has no name", file, m[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d acts were found in the ledger's source", found)
	}
}
