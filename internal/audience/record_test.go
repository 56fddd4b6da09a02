package audience

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// idsOf reads a file to its end and returns the ids of its customers.
func idsOf(t *testing.T, r io.Reader, format FileFormat) (ids []string, rejected int, err error) {
	t.Helper()
	reader, err := NewReader(r, FileOptions{Format: format})
	for err == nil {
		var row notice.CustomerRow
		var bad *notice.Rejection
		if row, bad, err = reader.Next(); bad != nil {
			rejected++
		} else if err == nil {
			ids = append(ids, row.Customer.ID)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return ids, rejected, err
}

// inner is text that somebody typed into a form, to be taken for a customer.
const inner = "X9,Eve,eve@evil.example,"

func TestAFileThatLeavesOpenWhatIsTextEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format FileFormat
		rows   string
		line   int
	}{
		"backslashes before quotes":         {FormatCSV, `1,Ann,a@x.example,"says \"hi\"` + "\n" + inner + "\n\"\n", 3},
		"a backslash before the last quote": {FormatCSV, `1,Ann,a@x.example,"C:\"` + "\n" + inner + "\n\"\n", 3},
		"a backslash, and no quote behind":  {FormatCSV, `1,Ann,a@x.example,"hi \"` + "\n" + inner + "\n\\\"\"\n", 3},
		"quotes that are not doubled":       {FormatCSV, `1,Ann,a@x.example,"says "hi"` + "\n" + inner + "\n\"\n", 3},
		"a quote that is never closed":      {FormatCSV, `1,Ann,a@x.example,"says hi` + "\n" + inner + "\n", 3},
		"a quote behind blanks":             {FormatCSV, "1,Ann,a@x.example, \t\"says hi\n" + inner + "\n", 3},
		"a quote behind =":                  {FormatCSV, "1,Ann,a@x.example,=\"says hi\n" + inner + "\n", 3},
		"a quote behind a joined mark":      {FormatCSV, "\ufeff\"1\",Ann,a@x.example,\"hi\n" + inner + "\n", 3},
		"a quote opened on a later line":    {FormatCSV, "1,\"A\nnn\",a@x.example,\"says hi\n" + inner + "\n", 4},
		"a line break behind a backslash":   {FormatCSV, "1,Ann,a@x.example,says\\\n" + inner + "\n", 3},
		"the same with CRLF":                {FormatCSV, "1,Ann,a@x.example,says\\\r\n" + inner + "\r\n", 3},
		"a text behind the quotes":          {FormatCSV, "1,\"Ann\"x,a@x.example,\n" + inner + "\n", 3},
		"an endless cell":                   {FormatCSV, "1,Ann,a@x.example,\"" + strings.Repeat("long\n"+inner+"\n", 100_000), 3},
		"an open text in JSON":              {FormatNDJSON, `{"id":"1","name":"says` + "\n" + `{"id":"X9","email":"eve@evil.example"}` + "\n\"}\n", 3},
		"an open object in JSON":            {FormatNDJSON, `{"id":"1","friends":[` + "\n" + `{"id":"X9"}` + "\n]}\n", 3},
		"a long open text in JSON":          {FormatNDJSON, `{"id":"1","name":"` + strings.Repeat("x", maxLine) + "\n" + `{"id":"X9"}` + "\n\"}\n", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := "id,name,email,notes\n0,Zed,,\n"
			if c.format == FormatNDJSON {
				begin = "{\"id\":\"00\"}\n{\"id\":\"0\"}\n"
			}
			ids, _, err := idsOf(t, strings.NewReader(begin+c.rows), c.format)
			e, ok := errors.AsType[*notice.Error](err)
			if !ok || e.Field != "file" || !strings.HasPrefix(e.Message, fmt.Sprintf("line %d ", c.line)) {
				t.Errorf("ids %v, %v", ids, err)
			}
			if strings.Contains(strings.Join(ids, " "), "X9") || err != nil && strings.Contains(err.Error(), "Eve") {
				t.Errorf("the text of a cell became customer X9: %v, %v", ids, err)
			}
		})
	}
}

func TestTheEndOfABadRowIsKnown(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long\n"+inner+"\n", 100_000)
	for name, row := range map[string]string{
		"a long cell of many lines": "1,Ann,a@x.example,\"" + long + "\"\n",
		"a long line":               "1,Ann,a@x.example," + strings.Repeat(inner, 100_000) + "\n",
		"a long line in quotes":     "1,Ann,a@x.example,\"" + strings.Repeat(inner, 100_000) + "\"\n",
		"line breaks in a cell":     "1,Ann,a@x.example,\"says\n" + inner + "\n\"\n",
		"a carriage return":         "1,Ann,a@x.example,\"says\r" + inner + "\r\"\n",
		"a bare carriage return":    "1,Ann,a@x.example,says\r" + inner + "\n",
		"a line separator":          "1,Ann,a@x.example,says\u2028" + inner[:len(inner)-1] + "\n",
		"the next line of Unicode":  "1,Ann,a@x.example,says\u0085" + inner[:len(inner)-1] + "\n",
		"a zero byte":               "1,Ann,a@x.example,says\x00" + inner[:len(inner)-1] + "\n",
		"a form feed":               "1,Ann,a@x.example,says\f" + inner[:len(inner)-1] + "\n",
		"a quote inside a cell":     "1,5\" disk,a@x.example,x\n",
		"the header again":          "id,name,email,notes\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ids, rejected, err := idsOf(t, strings.NewReader("id,name,email,notes\n0,Zed,,\n"+row+"2,Bob,b@x.example,ok\n"), FormatCSV)
			if diff := cmp.Diff([]string{"0", "2"}, ids); diff != "" || rejected != 1 || err != nil {
				t.Errorf("%d rejected, %v, ids (-want +got):\n%s", rejected, err, diff)
			}
		})
	}
}

func TestSpreadsheetHabits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"a line sep=":                     {"sep=;\r\nid;name;email;plan\r\nS1;Zoë;s1@example.com;gold\r\n", "S1"},
		"sep= for tabs, marked":           {"\ufeffSEP=\t\nid\tplan\nS1\tx,y,z\n", "S1"},
		"sep= in quotes":                  {"\"sep=|\"\nid|plan\nS1|x,y;z\n", "S1"},
		"unnamed columns at the end":      {"id,name,email,,\nC1,Ann,c1@example.com,,\n", "C1"},
		"a value in one":                  {"id,name,,\nC1,Ann,x,\n", "C1!"},
		"empty cells beyond the header":   {"id,name,email\nC3,Ann,c3@example.com,\nC4,Bob,,,, \n", "C3 C4"},
		"a value beyond the header":       {"id,name\nC3,Ann,x\n", "C3!"},
		"a comma without quotes":          {"id,name,plan,server\nC3,Bakers, Inc,gold,\n", "C3!"},
		"an id guarded by a formula":      {"id,email\n\"=\"\"00123\"\"\",e4@example.com\n=\"00124\",\n", "00123 00124"},
		"an id guarded by an apostrophe":  {"id\n'00123\n", "!"},
		"a name that begins with one":     {"id,name\n's-1,'s-Hertogenbosch\n", "'s-1"},
		"shortened ids":                   {"id\n1.23457E+11\n1,2E+10\n\"1,23E+11\"\n1E+12\n1.5e-07\n", "!!!!!"},
		"ids that only look shortened":    {"id\n1E10\n12.5E+11\nE+11\n1.23\n", "1E10 12.5E+11 E+11 1.23"},
		"errors of formulas":              {"id,plan\n#N/A,x\n1,#REF!\n", "!!"},
		"blanks before and behind quotes": {"id, name ,plan\n 1 , \"Ann, B\" ,\"x\" \r\n", "1"},
		"zeros and words":                 {"id,email,country\n00123,z@example.com,NO\n", "00123"},
		"a quoted header, no line end":    {"\ufeff\"id\",\"name\"\r\n\"B2\",\"Zoë\"", "B2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ids, rejected, err := idsOf(t, strings.NewReader(c.file), FormatCSV)
			if strings.Contains(c.want, "!") && !strings.HasPrefix(c.want, "!") {
				c.want = "!"
			}
			if got := strings.Join(ids, " ") + strings.Repeat("!", rejected); got != c.want || err != nil {
				t.Errorf("%s, want %s, %v", got, c.want, err)
			}
		})
	}
}

// TestARecordIsReadAsItWasWritten writes records by RFC 4180 and reads them again.
func TestARecordIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		delimiter := rapid.SampledFrom([]byte{',', ';', '\t'}).Draw(t, "delimiter")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		table := rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching(`[a-z,;"\n\t é=]{0,8}x`), 2, 4), 1, 5).Draw(t, "table")
		var file strings.Builder
		for _, cells := range table {
			for i, cell := range cells {
				if i > 0 {
					file.WriteByte(delimiter)
				}
				file.WriteString(`"` + strings.ReplaceAll(cell, `"`, `""`) + `"`)
			}
			file.WriteString(end)
		}
		l, err := newLines(strings.NewReader(file.String()), "")
		if err != nil {
			t.Fatal(err)
		}
		r := records{lines: l, delimiter: delimiter}
		line := 1
		for _, want := range table {
			got, number, bad, err := r.next()
			if diff := cmp.Diff(want, got); diff != "" || number != line || bad != "" || err != nil {
				t.Fatalf("line %d for %d, %s, %v (-want +got):\n%s", number, line, bad, err, diff)
			}
			line += 1 + strings.Count(strings.Join(want, ""), "\n")
		}
		if _, _, _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: %v", err)
		}
	})
}

// TestLongCellsTakeNoMemory reads a valid cell of 200 MB.
func TestLongCellsTakeNoMemory(t *testing.T) {
	line := strings.Repeat(inner, 40) + "\n"
	file := io.MultiReader(strings.NewReader("id,notes\n1,\""), &repeated{line, testkit.Size(60_000, 200_000)}, strings.NewReader("\"\n2,ok\n"))
	var ids []string
	var rejected int
	var err error
	grew := allocated(func() { ids, rejected, err = idsOf(t, file, FormatCSV) })
	if strings.Join(ids, " ") != "2" || rejected != 1 || err != nil {
		t.Errorf("ids %v, %d rejected, %v", ids, rejected, err)
	}
	if grew > 32<<20 {
		t.Errorf("%d MB were allocated for a cell that is too long", grew>>20)
	}
}

// repeated is a text n times over.
type repeated struct {
	text string
	n    int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for r.n > 0 && len(p)-n >= len(r.text) {
		n += copy(p[n:], r.text)
		r.n--
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
