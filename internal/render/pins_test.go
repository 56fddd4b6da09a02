package render

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"tocsin/internal/notice"
)

// TestRecipientsOfOneMailHaveItsNumber, and the mail that is kept under it makes the same message of each of them.
func TestRecipientsOfOneMailHaveItsNumber(t *testing.T) {
	t.Parallel()
	p := compile(t, own("{{.Customer.Name}}", branches(3)+"{{range .Customers}}{{.ID}} {{end}}{{.Language}}"))
	pins := NewPins(p, nil)
	var numbers []int
	for i := range 20 {
		r := branched(i%8, 3)
		r.Customers[0].Name, r.Customers[0].ID = fmt.Sprint("Zebedee-", i), fmt.Sprint("account-", i)
		if i >= 16 {
			r.Customers = append(r.Customers, notice.Frozen{ID: "account-b", Name: "Zebedee-b"})
		}
		n := pins.Number(r, "en")
		numbers = append(numbers, n)
		m, err := Decode(pins.Encoded()[n-1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Append(nil, r, stamp())
		if err != nil {
			t.Fatal(err)
		}
		if want, err := p.Render(nil, r, "en", stamp()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: got\n%s\nwant\n%s", err, got, want)
		}
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}; !slices.Equal(numbers, want) {
		t.Errorf("the numbers are %v, want %v", numbers, want)
	}
	for _, m := range pins.Encoded() {
		if bytes.Contains(m, []byte("Zebedee")) || bytes.Contains(m, []byte("account-")) {
			t.Errorf("it holds data of a customer: %s", m)
		}
	}
}

// TestPinsAreBounded: past the bounds recipients have no number, and those of before keep theirs.
func TestPinsAreBounded(t *testing.T) {
	t.Parallel()
	p := compile(t, own("s", branches(12)))
	pins := NewPins(p, nil)
	first, without := pins.Number(branched(0, 12), "en"), 0
	for i := range 1 << 12 {
		if pins.Number(branched(i, 12), "en") == 0 {
			without++
		}
	}
	size := 0
	for _, m := range pins.Encoded() {
		size += len(m)
	}
	if without == 0 || without > 1<<12-100 || size > maxPinned+1<<20 || len(pins.plain.numbers) > maxPins {
		t.Errorf("%d mails of %d bytes are kept, %d are not", len(pins.Encoded()), size, without)
	}
	if again := pins.Number(branched(0, 12), "en"); first != 1 || again != 1 {
		t.Errorf("the first has the numbers %d and %d", first, again)
	}
}
