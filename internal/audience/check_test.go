package audience

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestCheckCustomerCanonicalises(t *testing.T) {
	t.Parallel()
	c := notice.Customer{
		ID: " 1001", Name: "Acmé, Bakers\u00a0", Email: "Info@Acmé.example ", AlternateEmail: "acme@example.com",
		Language: "de_ch", TimeZone: "Europe/Zurich",
		Attributes: map[string]string{"plan": " trial", "server": "s639", "seats": "", "note": " "},
	}
	row, err := CheckCustomer(&c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wholeAcme(), row); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff(acme(0).Customer, c); diff != "" {
		t.Errorf("in place: -want +got\n%s", diff)
	}
	c = notice.Customer{ID: "1"}
	if row, err = CheckCustomer(&c); err != nil || row.EmailKey != "" || c.Attributes == nil {
		t.Errorf("an id alone: %+v, %v", row, err)
	}
}

func TestCheckCustomerNamesTheField(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]notice.Customer{
		"id":                  {Email: "broken"},
		"name":                {ID: "1", Name: "a\nb"},
		"email":               {ID: "1", Email: "broken", Language: "broken"},
		"alternate_email":     {ID: "1", AlternateEmail: "a@b"},
		"language":            {ID: "1", Language: "xx"},
		"time_zone":           {ID: "1", TimeZone: "CEST", Attributes: map[string]string{"a b": ""}},
		"attributes.plan":     {ID: "1", Attributes: map[string]string{"plan": strings.Repeat("a", 4001)}},
		`attributes."a plan"`: {ID: "1", Attributes: map[string]string{"a plan": "x"}},
		"attributes.id":       {ID: "1", Attributes: map[string]string{"id": "x"}},
	} {
		before := c
		_, err := CheckCustomer(&c)
		e, ok := errors.AsType[*notice.Error](err)
		if !ok || e.Field != field || e.Code != notice.CodeInvalid || e.Message == "" {
			t.Errorf("%s: %v", field, err)
		}
		if diff := cmp.Diff(before, c); diff != "" {
			t.Errorf("%s: a refused customer was changed\n%s", field, diff)
		}
	}
}

func TestCanonicalLanguage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"de": "de", "de_CH": "de-CH", "EN-us": "en-US", "pt_br": "pt-BR", "zh-hant-tw": "zh-Hant-TW", "sr_latn": "sr-Latn",
		"iw": "he", "in": "id", "es-419": "es-419", "no": "no", "nb-NO": "nb-NO", "th-u-nu-thai": "th-u-nu-thai",
		"und": "", "mul": "", "zxx": "", "qaa": "", "x-ours": "", "de-x-ours": "", "xx": "", "german": "", "C": "", "de-": "",
		"de_DE.UTF-8": "", "de,en": "", "root": "", strings.Repeat("de-", 30): "",
	} {
		tag, reason := canonicalLanguage(in)
		if tag != want || (reason == "") != (want != "") {
			t.Errorf("%s: %q, %q", in, tag, reason)
		}
	}
}

func TestCheckZoneOffersTheRightCase(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Amsterdam", "America/Port_of_Spain", "America/Port-au-Prince", "Africa/Dar_es_Salaam",
		"America/Argentina/Buenos_Aires", "Antarctica/McMurdo", "Antarctica/DumontDUrville", "Etc/GMT+3", "UTC", "GMT",
		"US/Pacific", "NZ-CHAT", "EST5EDT", "Asia/Ho_Chi_Minh", "America/North_Dakota/New_Salem", "Europe/Isle_of_Man"} {
		if reason := checkZone(zone); reason != "" {
			t.Errorf("%s: %s", zone, reason)
		}
		for _, wrong := range []string{strings.ToLower(zone), strings.ToUpper(zone)} {
			if wrong == zone {
				continue
			}
			if reason := checkZone(wrong); reason != notAZone+"; did you mean "+zone+"?" {
				t.Errorf("%s: %s", wrong, reason)
			}
		}
	}
	for _, zone := range []string{"Mars/Olympus", "Local", "localtime", "posix/UTC", "../UTC", "/etc/localtime", "Europe", "CEST", "UTC+1"} {
		if reason := checkZone(zone); reason != notAZone {
			t.Errorf("%s: %q", zone, reason)
		}
	}
}

func TestALanguageMayBeAList(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][3]string{
		"nl_be,FR":         {"nl-BE, fr", "", ""},
		"de":               {"de", "", ""},
		"a,b":              {"", notALanguage, ""},
		"nl,":              {"", notALanguage, ""},
		"nl;q=0.8,en":      {"", notALanguage, ""},
		"nl,de,fr,en,sv,x": {"", "names more than 5 languages", ""},
		"DK":               {"", notALanguage + "; did you mean da?", ""},
		"en, JP":           {"", notALanguage + "; did you mean ja?", ""},
		"cz":               {"", notALanguage + "; did you mean cs?", ""},
		"SE":               {"se", "", "SE is also the code of a country, whose language is sv: was that meant?"},
		"SV":               {"sv", "", "SV is also the code of a country, whose language is es: was that meant?"},
		"nl, ET":           {"nl, et", "", "ET is also the code of a country, whose language is am: was that meant?"},
		"FR":               {"fr", "", ""},
		"sv":               {"sv", "", ""},
	} {
		if list, reason, warning := canonicalLanguages(in); [3]string{list, reason, warning} != want {
			t.Errorf("%s: %q, %q, %q", in, list, reason, warning)
		}
	}
}
