package audience

import (
	"fmt"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func TestColumnsThatLookLikeAFieldAreRefused(t *testing.T) {
	t.Parallel()
	for field, names := range map[string]string{
		columnEmail:          "mail Mail e_mail E-Mail e.mail EmailAddress email_address emial emal emails Correo courriel e-postadress mailadresse email1",
		columnAlternateEmail: "alternative_email AlternateEmail alt-email email2 secondary_email alternate_emial backup_email",
		columnLanguage:       "lang Locale language_code langauge languages Sprache taal idioma språk",
		columnTimeZone:       "timezone TimeZone tz time-zone timezones Zeitzone tijdzone",
		columnName:           "full_name FullName nmae customer_name Kundenname naam",
	} {
		for name := range strings.FieldsSeq(names) {
			_, _, err := idsOf(t, strings.NewReader("id;"+name+"\n1;\n"), FormatCSV)
			if err == nil || !strings.Contains(err.Error(), "did you mean "+field+"?") || !strings.Contains(err.Error(), "--map") {
				t.Errorf("%s: %v", name, err)
			}
			// Next to the field it is an attribute like any other.
			if attributeName.MatchString(name) {
				if ids, _, err := idsOf(t, strings.NewReader("id;"+field+";"+name+"\n1;;\n"), FormatCSV); len(ids) != 1 || err != nil {
					t.Errorf("%s beside %s: %v", name, field, err)
				}
			}
		}
	}
	for name := range strings.FieldsSeq("plan server region company country retail detail domain game first_name last_name site zone phone language_level email_opt_in mailing") {
		if ids, _, err := idsOf(t, strings.NewReader("id;"+name+"\n1;x\n"), FormatCSV); len(ids) != 1 || err != nil {
			t.Errorf("the attribute %s: %v", name, err)
		}
	}
}

func TestWhatWasSaidAboutColumnsDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header     string
		to         map[string]string
		attributes []string
		want       string // kinds of columns, or a part of the error
	}{
		"a mapped field":             {"Kunden-Nr,E-Mail", map[string]string{"kunden-nr": "id", "E-Mail": "Email"}, nil, "id email"},
		"a mapped attribute":         {"id,Server Nr", map[string]string{"Server Nr": "server"}, nil, "id server*"},
		"a column left out":          {"id,Notes (internal)", map[string]string{"Notes (internal)": ""}, nil, "id -"},
		"mapped to a near miss":      {"id,Zone", map[string]string{"Zone": "timezone"}, nil, "did you mean --map 'Zone=time_zone'"},
		"one beside the field":       {"id,Zone,time_zone", map[string]string{"Zone": "timezone"}, nil, "id timezone* time_zone"},
		"an attribute":               {"id,TZ", nil, []string{"tz"}, "id TZ*"},
		"a column that is not there": {"id", map[string]string{"mail": "email"}, nil, "no column mail"},
		"an attribute not there":     {"id", nil, []string{"tz"}, "no column tz"},
		"two columns of one field":   {"id,email,E-Mail", map[string]string{"E-Mail": "email"}, nil, "two columns email"},
		"two that differ by case":    {"id,Plan,plan", nil, nil, "two columns plan"},
		"a bad name":                 {"id,E", map[string]string{"E": "pl an"}, nil, "is no name for an attribute"},
		"an id by another name":      {"Customer ID,plan", nil, nil, "did you mean column \"Customer ID\"?"},
		"a customer for a header":    {"1001,Acme,info@acme.example", nil, nil, "one of them id"},
		"an invisible character":     {"\u200bid,pl\u00adan", nil, nil, "id plan*"},
	} {
		h, err := nameColumns(strings.Split(c.header, ","), 1, FileOptions{Map: c.to, Attributes: c.attributes})
		got := ""
		if err != nil {
			got = err.Error()
			if notice.CodeOf(err) != notice.CodeInvalid || strings.Contains(got, "acme.example") {
				t.Errorf("%s: %v", name, err)
			}
		} else {
			for _, col := range h.columns {
				got += " " + map[columnKind]string{ofField: col.name, ofAttribute: col.name + "*", ofNothing: "-"}[col.kind]
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAFileNamesSoManyAttributes(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	for i := range maxNames + 5 {
		fmt.Fprintf(&file, "{\"id\":\"%d\",\"attributes\":{\"a%d\":\"x\"}}\n", i, i)
	}
	ids, rejected, err := idsOf(t, strings.NewReader(file.String()), FormatNDJSON)
	if len(ids) != maxNames || rejected != 5 || err != nil {
		t.Errorf("%d customers, %d rejected, %v", len(ids), rejected, err)
	}
}
