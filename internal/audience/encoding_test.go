package audience

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/encoding/htmlindex"

	"tocsin/internal/notice"
)

// inEncoding writes a text in an encoding, by its name in the Encoding Standard.
func inEncoding(t *testing.T, name, text string) string {
	t.Helper()
	enc, err := htmlindex.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := enc.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// readNames reads a CSV with the columns id and name and returns the names, divided by |.
func readNames(t *testing.T, file, encoding string) (names, found string, err error) {
	t.Helper()
	r, err := NewReader(strings.NewReader(file), FileOptions{Format: FormatCSV, Encoding: encoding})
	if err != nil {
		return "", "", err
	}
	var all []string
	for {
		row, rejected, err := r.Next()
		switch {
		case rejected != nil:
			all = append(all, "!"+rejected.Reason)
		case err != nil && strings.Contains(err.Error(), "EOF"):
			return strings.Join(all, "|"), r.Encoding(), nil
		case err != nil:
			return "", "", err
		default:
			all = append(all, row.Customer.Name)
		}
	}
}

func TestEncodingsAreRecognised(t *testing.T) {
	t.Parallel()
	german, mark := "id;name\r\n1;Müller & Söhne\r\n2;Café “Großmann” – 5 €\r\n", "\ufeff"
	const names = "Müller & Söhne|Café “Großmann” – 5 €"
	for name, c := range map[string]struct{ file, names, encoding string }{
		"UTF-8":                  {german, names, "utf-8"},
		"UTF-8 with a mark":      {mark + german, names, "utf-8"},
		"ASCII":                  {"id,name\n1,Ann\n", "Ann", "utf-8"},
		"Windows-1252":           {inEncoding(t, "windows-1252", german), names, "windows-1252"},
		"Latin-1":                {"id,name\n1,Zo\xeb\n2,Andr\xe9\n", "Zoë|André", "windows-1252"},
		"one letter in Latin-1":  {"id,name\n1,Ann\n2,Ana Mu\xf1oz\n", "Ann|Ana Muñoz", "windows-1252"},
		"capitals in Latin-1":    {"id,name\n1,M\xdcLLER\n2,\xc5SA \xd6BERG\n", "MÜLLER|ÅSA ÖBERG", "windows-1252"},
		"Latin-1 far down":       {"id,name\n" + strings.Repeat("1,Ann\n", 50_000) + "2,Bj\xf6rn Str\xf6m\n", strings.Repeat("Ann|", 50_000) + "Björn Ström", "windows-1252"},
		"UTF-16LE without mark":  {inEncoding(t, "utf-16le", german), names, "utf-16le"},
		"UTF-16BE without mark":  {inEncoding(t, "utf-16be", german), names, "utf-16be"},
		"UTF-16LE with a mark":   {inEncoding(t, "utf-16le", mark+german), names, "utf-16le"},
		"UTF-16BE with a mark":   {inEncoding(t, "utf-16be", mark+german), names, "utf-16be"},
		"UTF-16, tabs":           {inEncoding(t, "utf-16le", mark+"id\tname\r\n1\t山田太郎\r\n"), "山田太郎", "utf-16le"},
		"half a surrogate pair":  {inEncoding(t, "utf-16le", "id,name\n1,Ann\n2,B") + "\x3d\xd8" + inEncoding(t, "utf-16le", "b\n"), "Ann|!holds a broken character: its text was lost before it came here", "utf-16le"},
		"a broken row in UTF-8":  {"id,name\n1,Zoë\n2,Andr\xe9\n3,Åsa\n", "Zoë|!is not UTF-8|Åsa", "utf-8"},
		"a character cut by EOF": {"id,name\n1,Zoë\n2,An\xc3", "Zoë|!is not UTF-8", "utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names, encoding, err := readNames(t, c.file, "")
			if err != nil || names != c.names || encoding != c.encoding {
				t.Errorf("%.300q in %s, %v", names, encoding, err)
			}
		})
	}
}

func TestAnEncodingThatIsOnlyGuessedIsNotTaken(t *testing.T) {
	t.Parallel()
	for encoding, text := range map[string]string{
		"windows-1250": "id;name\n1;Dvořák Jiří\n2;Černý Tomáš\n3;Němec Luděk\n",
		"iso-8859-2":   "id;name\n1;Łukasz Wójcik\n2;Grażyna Święcicka\n3;Żółć sp. z o.o.\n",
		"windows-1251": "id;name\n1;Иванов Иван\n2;Петров Пётр\n3;ООО Ромашка\n",
		"iso-8859-7":   "id;name\n1;Γιώργος Παπαδόπουλος\n2;Μαρία Νικολάου\n",
		"shift_jis":    "id,name\n1,山田太郎\n2,鈴木花子\n3,株式会社東京\n",
		"gbk":          "id,name\n1,张伟\n2,王芳\n3,北京公司\n",
		"macintosh":    "id;name\n1;Müller\n2;Jürgen Schäfer\n",
	} {
		file := inEncoding(t, encoding, text)
		_, _, err := readNames(t, file, "")
		if e, ok := errors.AsType[*notice.Error](err); !ok || e.Field != "file" || !strings.Contains(e.Message, "--encoding") {
			t.Errorf("%s without its name: %v", encoding, err)
		}
		names, found, err := readNames(t, file, encoding)
		var want []string
		for line := range strings.Lines(text) {
			_, name, _ := strings.Cut(strings.NewReplacer(",", ";", "\n", "").Replace(line), ";")
			want = append(want, name)
		}
		if err != nil || found != encoding || names != strings.Join(want[1:], "|") {
			t.Errorf("%s: %s in %s, %v", encoding, names, found, err)
		}
	}
	if _, _, err := readNames(t, "id,name\n1,Zoë\n2,Andr\xe9\n3,Bj\xf6rn\n", ""); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("two encodings in one file: %v", err)
	}
	if _, _, err := readNames(t, "id\n", "klingon"); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("an encoding that is none: %v", err)
	}
}

func TestFilesOfOtherKindsAreCalledWhatTheyAre(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"xlsx":                 {"PK\x03\x04\x14\x00\x06\x00\x08\x00sheet", "workbook (xlsx"},
		"xls":                  {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook (xls)"},
		"gzip":                 {"\x1f\x8b\x08\x00\x00", "gzip"},
		"zstd":                 {"\x28\xb5\x2f\xfd\x04", "zstd"},
		"PDF":                  {"%PDF-1.7\n", "a PDF"},
		"UTF-32":               {"\xff\xfe\x00\x00i\x00\x00\x00", "UTF-32"},
		"UTF-32 without mark":  {"i\x00\x00\x00d\x00\x00\x00,\x00\x00\x00n\x00\x00\x00\n\x00\x00\x00", "zero bytes"},
		"a page":               {"\n<!DOCTYPE html>\n<html>", "an HTML page"},
		"a table in HTML":      {"<table><tr><td>id", "an HTML page"},
		"a page in UTF-16":     {inEncoding(t, "utf-16le", "\ufeff<html>\n"), "an HTML page"},
		"Excel's XML":          {"<?xml version=\"1.0\"?>\n", "is XML"},
		"NDJSON":               {"{\"id\":\"1\"}\n", "--format ndjson"},
		"a JSON array":         {" [\n{\"id\":\"1\"}\n]", "JSON array"},
		"a JSON array, marked": {"\ufeff[{\"id\":\"1\"}]", "JSON array"},
	} {
		_, err := NewReader(strings.NewReader(c.file), FileOptions{Format: FormatCSV})
		if e, ok := errors.AsType[*notice.Error](err); !ok || e.Field != "file" || !strings.Contains(e.Message, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("id,name\n1,Zo\xeb\n"), "")
	f.Add([]byte("\xff\xfei\x00d\x00\n\x00\x3d\xd8"), "")
	f.Add([]byte("i\x00d\x00\n\x00"), "utf-16be")
	f.Add([]byte("id\n\x81\x40\n"), "shift_jis")
	f.Add([]byte("\ufeffid\n1\n"), "windows-1252")
	f.Fuzz(func(t *testing.T, file []byte, encoding string) {
		l, err := newLines(strings.NewReader(string(file)), encoding)
		for err == nil {
			var ln line
			if ln, err = l.next(nil); err == nil && strings.Contains(ln.text, "\n") {
				t.Fatalf("a line holds the end of one: %q", ln.text)
			}
		}
		if err.Error() != "EOF" && notice.CodeOf(err) != notice.CodeInvalid {
			t.Fatalf("got %v", err)
		}
	})
}
