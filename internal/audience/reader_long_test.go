package audience

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestReaderKeepsNothingOfALongFile(t *testing.T) {
	// Not parallel: it looks at the heap.
	count := testkit.Size(20_000, 200_000)
	from, to := io.Pipe()
	go func() {
		w := bufio.NewWriter(to)
		fmt.Fprintln(w, "id,name,email,language,time_zone,plan,note")
		for i := range count {
			switch i % 10 {
			case 7: // a quote in the middle of a cell
				fmt.Fprintf(w, "%d,Customer\"\n", i)
			case 8:
				fmt.Fprintf(w, "%d,\"Customer %d\",c%d@example.com,Klingon%d,,,%02000d\n", i, i, i, i, i)
			case 9:
				fmt.Fprintf(w, "%d,Customer %d,c%d@example.com,,Mars/Crater%d,,%02000d\n", i, i, i, i, i)
			default:
				fmt.Fprintf(w, "%d,Customer %d,c%d@example%d.com,de,Europe/Berlin,trial,%0100d\n", i, i, i, i%100, i)
			}
		}
		w.Flush()
		to.Close()
	}()
	r, err := NewReader(from, FileOptions{Format: FormatCSV})
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var rows, rejected int
	before := heap()
	for {
		_, rejection, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rejection != nil {
			rejected++
		} else {
			rows++
		}
		if rejection == nil && rows%4_500 == 0 {
			if after := heap(); after > before+1<<20 {
				t.Errorf("the heap grew from %d to %d bytes in %d rows", before, after, rows)
			}
		}
	}
	if rows != count/10*7 || rejected != count/10*3 {
		t.Errorf("%d rows, %d rejected", rows, rejected)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	runtime.KeepAlive(r)
}

func FuzzReader(f *testing.F) {
	f.Add(head+"1,\"a\nb\",x@y.example,,de_CH,Europe/Zurich,,\n\"2\",\"\"\"\",,,,,,\n", false)
	f.Add("\ufeffid;plan\r\n1;\"a;b\"\r\n2;\"\r\n3;x\r\n", false)
	f.Add("id\tname\n1\t\"\n\"2\n", false)
	f.Add(`{"id":"1","attributes":{"a":1e5,"b":true,"c":null}}`+"\n{\"id\":\"2\",\"email\":\"É@ü.example\"}\n[", true)
	f.Fuzz(func(t *testing.T, file string, ndjson bool) {
		format := FormatCSV
		if ndjson {
			format = FormatNDJSON
		}
		rows, rejected, err := readAll(t, file, format)
		if err != nil {
			if notice.CodeOf(err) != notice.CodeInvalid || !utf8.ValidString(err.Error()) {
				t.Fatalf("got %v", err)
			}
			return
		}
		line := 0
		for _, row := range rows {
			if row.Line <= line {
				t.Fatalf("line %d after line %d", row.Line, line)
			}
			line = row.Line
			c := row.Customer
			again, err := CheckCustomer(&c)
			again.Line, again.Given = row.Line, row.Given
			maps.DeleteFunc(row.Customer.Attributes, func(_, value string) bool { return value == "" })
			if diff := cmp.Diff(row, again); diff != "" || err != nil {
				t.Fatalf("checked again: %v\n%s", err, diff)
			}
			cells := []string{c.ID, c.Name, c.Email, c.AlternateEmail, c.Language, c.TimeZone, row.EmailKey, row.AlternateEmailKey}
			for name, value := range c.Attributes {
				cells = append(cells, name, value)
			}
			for _, cell := range cells {
				if strings.ContainsFunc(cell, unicode.IsControl) || !utf8.ValidString(cell) {
					t.Fatalf("%q got through", cell)
				}
			}
		}
		for _, r := range rejected {
			if r.Line < 1 || r.Reason == "" || !utf8.ValidString(r.Column) {
				t.Fatalf("rejected %+v", r)
			}
		}
	})
}

// allocated is how many bytes f allocated in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// wholeAcme is acme as CheckCustomer makes it.
func wholeAcme() notice.CustomerRow {
	row := acme(0)
	row.Given = notice.GivenAll
	return row
}
