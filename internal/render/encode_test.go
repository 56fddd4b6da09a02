package render

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/internal/notice"
)

// FuzzDecode: Decode returns for any bytes that a ledger gives back. A mail that it takes can be made a message.
func FuzzDecode(f *testing.F) {
	for _, b := range []notice.Body{outage(), arabic(), own("{{.Customer.Name}}", everything)} {
		m, err := compile(f, b).Compiled(recipient("Anna", map[string]string{"accounts": "12"}), b.DefaultLanguage)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Encode())
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		m, err := Decode(encoded)
		if err != nil {
			return
		}
		if _, err := Decode(m.Encode()); err != nil {
			t.Fatalf("what was decoded can't be decoded again: %v", err)
		}
		if _, err := m.Append(nil, recipient("Anna", map[string]string{"accounts": "12"}), stamp()); err != nil {
			if _, ok := errors.AsType[*notice.Error](err); !ok {
				t.Fatalf("not a domain error: %v", err)
			}
		}
	})
}

func TestAMailOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	m, err := compile(t, outage()).Compiled(recipient("Anna", nil), "en")
	if err != nil {
		t.Fatal(err)
	}
	of := func(version string) error {
		_, err := Decode([]byte(strings.Replace(string(m.Encode()), `{"version":8,`, `{"version":`+version+`,`, 1)))
		return err
	}
	for _, before := range []string{"3", "4", "5", "6", "7"} {
		if err := of(before); err != nil {
			t.Errorf("a mail of version %s is not read: %v", before, err)
		}
	}
	for _, other := range []string{"2", "9"} {
		if err := of(other); err == nil || err.Error() != "the compiled mail has version "+other+", this program knows 3 to 8" {
			t.Errorf("got %v", err)
		}
	}
}

// TestReadersWhoDifferInNothingShareAMail holds also for zones, where a text has no time.
func TestReadersWhoDifferInNothingShareAMail(t *testing.T) {
	t.Parallel()
	body := own("s", "Dear {{.Customer.Name}}, {{if eq .Customer.Attributes.plan \"gold\"}}a{{else}}b{{end}}")
	body.Windows = nil
	p := compile(t, body)
	mail := func(zone, plan string) *Mail {
		r := recipient("Anna", map[string]string{"plan": plan})
		r.TimeZone = zone
		m, err := p.Compiled(r, "en")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if mail("Europe/Paris", "gold") != mail("Asia/Tokyo", "gold") || mail("", "x") != mail("", "") {
		t.Error("they were compiled twice")
	}
	if mail("", "gold") == mail("", "x") {
		t.Error("two branches are one mail")
	}
	timed := compile(t, outage())
	a, b := recipient("Anna", nil), recipient("Anna", nil)
	b.TimeZone = "Asia/Tokyo"
	one, err := timed.Compiled(a, "en")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := timed.Compiled(b, "en"); err != nil || one == other {
		t.Errorf("two zones are one mail: %v", err)
	}
}

// branches is a text with that many conditions, each of which recipients differ in.
func branches(n int) (body string) {
	for i := range n {
		body += fmt.Sprintf("{{if .Customer.Attributes.a%d}}\nParagraph %d for {{.Customer.Name}}, and some more words of it.\n{{end}}\n\n", i, i)
	}
	return "Dear {{.Customer.Name}},\n\n" + body
}

func branched(i, n int) notice.Recipient {
	r := recipient(fmt.Sprintf("Customer %d", i), map[string]string{})
	for bit := range n {
		if i>>bit&1 == 1 {
			r.Customers[0].Attributes[fmt.Sprint("a", bit)] = "x"
		}
	}
	return r
}

// TestManyBranchesCostAFixedAmountOfMemory renders 1,000 branches of a text, and mailboxes of up to 300 customers.
func TestManyBranchesCostAFixedAmountOfMemory(t *testing.T) {
	many := compile(t, own("s", branches(12)))
	each := compile(t, own("s", "{{range .Customers}}\n- {{.Name}}, {{.ID}}\n{{end}}"))
	var buf []byte
	var err error
	for i := range 1000 {
		if buf, err = many.Render(buf[:0], branched(4*i, 12), "en", stamp()); err != nil {
			t.Fatal(err)
		}
		if i%20 > 0 || i > 300 {
			continue
		}
		r := recipient("A", nil)
		for n := range i {
			r.Customers = append(r.Customers, notice.Frozen{ID: fmt.Sprint(n), Name: fmt.Sprint("Customer ", n)})
		}
		if buf, err = each.Render(buf[:0], r, "en", stamp()); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*Program{many, each} {
		if p.cache.size > maxCached || len(p.cache.mails) == 0 {
			t.Errorf("%d mails of %d bytes are kept", len(p.cache.mails), p.cache.size)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	many.cache = cache{}
	each.cache = cache{}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(before.HeapAlloc) - int64(after.HeapAlloc); kept > 3*maxCached {
		t.Errorf("both caches held %d MiB", kept>>20)
	}
}

func BenchmarkRenderOfAnyBranch(b *testing.B) {
	p := compile(b, own("s", branches(12)))
	var buf []byte
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = p.Render(buf[:0], branched(i*2654435761%4096, 12), "en", stamp()); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkReferenceOfAnyBranch(b *testing.B) {
	p := compile(b, own("s", branches(12)))
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reference(p, branched(i*2654435761%4096, 12), "en", Stamp{MessageID: "<a@b>", Date: time.Unix(0, 0)}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// TestAPartInBase64OfAnEarlierVersionIsAsItWas: whole lines but for the last. Those of today begin a line with each
// long text, and their words are the same.
func TestAPartInBase64OfAnEarlierVersionIsAsItWas(t *testing.T) {
	t.Parallel()
	r := recipient("Bakkerij De Vries", nil)
	r.Language = "ar"
	m, err := compile(t, usualNotice()).Compiled(r, "ar")
	if err != nil {
		t.Fatal(err)
	}
	before, err := Decode(bytes.Replace(m.Encode(), []byte(`{"version":8,`), []byte(`{"version":7,`), 1))
	if err != nil {
		t.Fatal(err)
	}
	short := func(m *Mail) (lines int, words Message) {
		raw, err := m.Append(nil, r, stamp())
		if err != nil {
			t.Fatal(err)
		}
		if words, err = Open(raw); err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(raw), "\r\n\r\n")
		for line := range strings.SplitSeq(body, "\r\n") {
			if len(line) > 20 && len(line) < base64Line && !strings.ContainsAny(line, " -:\"") {
				lines++
			}
		}
		return lines, words
	}
	was, then := short(before)
	is, now := short(m)
	if was > 2 || is <= was {
		t.Errorf("%d short lines before, %d now", was, is)
	}
	if diff := cmp.Diff(then, now, cmpopts.IgnoreUnexported(Message{})); diff != "" {
		t.Errorf("(-before +now):\n%s", diff)
	}
}
