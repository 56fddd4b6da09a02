package audience

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tocsin/internal/notice"
)

// nameColumns finds out the kind of each column of a header. Its error is a *notice.Error.
func nameColumns(names []string, number int, o FileOptions) (*header, error) {
	h := &header{text: slices.Clone(names), columns: make([]column, len(names))}
	asked := newMapping(o)
	fields := map[string]bool{}
	for i, name := range names {
		names[i] = strings.TrimFunc(tidy(name), isBlankOrMark)
		h.columns[i] = asked.column(names[i])
		if h.columns[i].kind == ofField {
			fields[h.columns[i].name] = true
		}
	}
	if !fields[columnID] {
		return nil, notice.Invalid("file", "line %d must name the columns, one of them id%s", number, hintID(names))
	}
	if unknown := asked.unused(); unknown != "" {
		return nil, notice.Invalid("file", "line %d has no column %s", number, shorten(unknown))
	}
	seen := map[string]bool{}
	for i, name := range names {
		if name == "" && h.columns[i].kind != ofNothing {
			if !isEmpty(names[i:]) {
				return nil, notice.Invalid("file", "line %d: column %d has no name", number, i+1)
			}
			h.columns[i].kind = unnamed
			continue
		}
		if reason := h.check(i, name, fields, asked, seen); reason != "" {
			return nil, notice.Invalid("file", "line %d: %s", number, reason)
		}
	}
	for field := range fields {
		h.given |= fieldBits[field]
	}
	return h, nil
}

// check returns the fault in a column that has a name, "" for none.
func (h *header) check(i int, name string, fields map[string]bool, asked *mapping, seen map[string]bool) string {
	c := h.columns[i]
	if c.kind == ofNothing {
		return ""
	}
	if lower := strings.ToLower(c.name); seen[lower] {
		return "there are two columns " + shorten(c.name)
	} else {
		seen[lower] = true
	}
	if c.kind == ofField {
		return ""
	}
	near := nearField(c.name)
	switch {
	case near == "" || fields[near] || asked.attribute[foldName(name)]:
	case asked.said(name):
		return fmt.Sprintf("column %d, %s: did you mean --map '%s=%s' (?map=)? %s is no field", i+1, shorten(name), strings.Trim(shorten(name), `"`), near,
			shorten(c.name))
	default:
		return fmt.Sprintf("column %d, %s: did you mean %s? Say --map '%s=%[3]s' (?map=), or --attribute '%[4]s' (?attribute=) if it is an attribute",
			i+1, shorten(name), near, strings.Trim(shorten(name), `"`))
	}
	if reason := badAttributeName(c.name); reason != "" {
		return fmt.Sprintf("column %d, %s, %s; --map '%s=NAME' (?map=) gives it one, and nothing behind the = leaves it out",
			i+1, shorten(name), reason, strings.Trim(shorten(name), `"`))
	}
	return ""
}

// mapping holds the options about columns, which go before the names of the columns.
type mapping struct {
	to        map[string]string // by the column's name in lower case: a field or an attribute, "" for nothing
	attribute map[string]bool
	used      map[string]bool
}

func newMapping(o FileOptions) *mapping {
	m := &mapping{to: map[string]string{}, attribute: map[string]bool{}, used: map[string]bool{}}
	for from, to := range o.Map {
		m.to[foldName(from)] = strings.TrimSpace(to)
	}
	for _, name := range o.Attributes {
		m.attribute[foldName(name)] = true
	}
	return m
}

func foldName(name string) string {
	return strings.ToLower(strings.TrimFunc(tidy(name), isBlankOrMark))
}

// column returns the column of that name.
func (m *mapping) column(name string) column {
	folded := foldName(name)
	to, mapped := m.to[folded]
	switch {
	case mapped && to == "":
		m.used[folded] = true
		return column{kind: ofNothing}
	case mapped:
		m.used[folded] = true
		name = to
	case m.attribute[folded]:
		m.used[folded] = true
		return column{name: name, kind: ofAttribute}
	}
	if lower := strings.ToLower(name); slices.Contains(columns, lower) {
		return column{name: lower, kind: ofField}
	}
	return column{name: name, kind: ofAttribute}
}

// said reports whether an option was about the column of that name.
func (m *mapping) said(name string) bool { return m.used[foldName(name)] }

// unused returns a name that no column has.
func (m *mapping) unused() string {
	for name := range m.to {
		if !m.used[name] {
			return name
		}
	}
	for name := range m.attribute {
		if !m.used[name] {
			return name
		}
	}
	return ""
}

// alsoCalled are other names of the fields, in letters and digits alone. Names that may well be those of attributes,
// such as company or country, are not among them.
var alsoCalled = map[string][]string{
	columnID: {"customerid", "customernumber", "customerno", "customernr", "clientid", "accountid", "accountnumber", "externalid", "uid", "uuid",
		"kundennummer", "kundennr", "kundenid", "kdnr", "klantnummer", "klantnr", "klantid", "numeroclient", "idclient", "numerocliente",
		"idcliente", "codigocliente", "kundnummer", "kundid", "codicecliente"},
	columnName: {"fullname", "customername", "clientname", "accountname", "displayname", "names", "nmae", "naem", "anme",
		"kundenname", "vollstandigername", "naam", "klantnaam", "nom", "nomclient", "nomcomplet", "nombre", "nombrecompleto", "namn", "kundnamn"},
	columnEmail: {"mail", "mails", "emailaddress", "emailaddr", "mailaddress", "mailaddr", "emailid", "useremail", "customeremail", "contactemail",
		"primaryemail", "emailprimary", "email1", "mailbox", "emailadresse", "mailadresse", "emailadres", "mailadres", "epost", "epostadress",
		"epostadresse", "courriel", "adressemail", "adresseemail", "adresseelectronique", "correo", "correoelectronico", "indirizzoemail", "posta"},
	columnAlternateEmail: {"alternativeemail", "altemail", "emailalt", "emailalternate", "emailalternative", "secondaryemail", "secondemail",
		"email2", "backupemail", "fallbackemail", "otheremail", "alternatemail", "alternativemail", "alternateemailaddress", "zweiteemail",
		"alternativeemailadresse", "tweedeemail", "alternatiefemail"},
	columnLanguage: {"lang", "locale", "languagecode", "langcode", "languagetag", "preferredlanguage", "sprache", "sprachcode", "taal", "taalcode",
		"langue", "idioma", "lingua", "sprak", "sprog"},
	columnTimeZone: {"tz", "timezone", "timezonename", "timezoneid", "tzname", "tzid", "tzdata", "zeitzone", "tijdzone", "tidszon", "fuseauhoraire",
		"fuseau", "zonahoraria", "husohorario", "fusoorario"},
}

// nearField returns the field that a name misses narrowly, "" for none: another name of it, or one slip of the fingers.
func nearField(name string) string {
	plain := plainName(name)
	for _, field := range columns {
		if plain == plainName(field) || slices.Contains(alsoCalled[field], plain) {
			return field
		}
	}
	for _, field := range columns {
		want := plainName(field)
		// Short names have too many neighbours: "fame" is no slip for "name".
		if len(want) >= 5 && len(plain) >= 4 && len(plain) <= len(want)+1 && notice.EditDistance(plain, want) == 1 {
			return field
		}
	}
	return ""
}

// plainName leaves of a name the letters and digits, in lower case and without accents.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(name))
}

// hintID names a column that may be the id's. Nothing else of a line is repeated that is perhaps no header.
func hintID(names []string) string {
	for _, name := range names {
		if nearField(name) == columnID {
			return fmt.Sprintf("; did you mean column %s? Say --map '%s=id' (?map=)", shorten(name), strings.Trim(shorten(name), `"`))
		}
	}
	return ""
}
