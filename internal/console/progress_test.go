package console

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tocsin/internal/notice"
)

// TestAChartFillsItsPicture: the highest span goes to the top, relays stand on each other, and nothing leaves the picture. The table has the same numbers.
func TestAChartFillsItsPicture(t *testing.T) {
	t.Parallel()
	f := &Frame{Lang: "de", Zone: time.UTC, Now: time.Now(), words: readWords().of["de"], print: message.NewPrinter(language.German)}
	first := time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC)
	p := notice.NewProgress(first, first.Add(3*time.Minute))
	p.Add(0, "main", 1000)
	p.Add(2, "austin", 30)
	p.Add(2, "main", 10)
	c := f.chart(p, []notice.DomainProgress{{Domain: "a1.example", Mails: 8, Left: 2}})
	if len(c.Bars) != 3 || c.Bars[0].Y != 0 || c.Bars[0].H != 100 || c.Bars[1].Y != 99 || c.Bars[2].Y != 96 || c.Highest != 200 || c.Relays[0] != (numbered{"main", 1010}) {
		t.Errorf("%+v", c)
	}
	for _, bar := range c.Bars {
		if bar.X < 0 || bar.X+bar.W > 1000 || bar.Y < 0 || bar.Y+bar.H > 100.001 {
			t.Errorf("%+v is not in the picture", bar)
		}
	}
	var html bytes.Buffer
	if err := parsePages()["notice"].ExecuteTemplate(&html, "chart", c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Höchstens 200 E-Mails je Sekunde", `<td class="n">1.000</td>`, `width="250.0"`, "a1.example", `class="r-1"`} {
		if !strings.Contains(html.String(), want) || strings.Contains(html.String(), "style=") {
			t.Errorf("%q is not in %s", want, html.String())
		}
	}
	if f.chart(notice.Progress{}, nil) != nil {
		t.Error("before the first mail there is a chart")
	}
	if c := f.chart(notice.NewProgress(first, first), nil); c != nil {
		t.Errorf("of nothing: %+v", c)
	}
}

// TestALargeProgressIsReadBesideItsPage, and one of rows that were dropped not at all.
func TestALargeProgressIsReadBesideItsPage(t *testing.T) {
	t.Parallel()
	at := time.Now()
	book := going{read: make(chan int64, 9)}
	p := newProgresses(slog.New(slog.DiscardHandler))
	for _, st := range []notice.Status{{Number: 1}, {Number: 2, FirstSentAt: &at, RowsDroppedAt: &at}} {
		if over, domains, err := p.read(t.Context(), book, st); err != nil || over.Width != 0 || domains != nil || len(book.read) > 0 {
			t.Errorf("%+v, %+v, %v", over, domains, err)
		}
	}
	if over, domains, err := p.read(t.Context(), book, notice.Status{Number: 3, FirstSentAt: &at, Recipients: tallyAtOnce}); err != nil || over.Width == 0 || len(domains) != 1 {
		t.Errorf("a small one: %+v, %+v, %v", over, domains, err)
	}
	<-book.read
	large := notice.Status{Number: 4, FirstSentAt: &at, Recipients: tallyAtOnce + 1, Counts: map[string]int{"sent": 1}}
	if over, _, err := p.read(t.Context(), book, large); err != nil || over.Width != 0 {
		t.Errorf("the page of a large one waited: %+v, %v", over, err)
	}
	<-book.read
}

// going is a book of which only the progress is asked for.
type going struct {
	Book
	read chan int64
}

func (g going) Progress(_ context.Context, id int64) (notice.Progress, error) {
	g.read <- id
	return notice.NewProgress(time.Now(), time.Now()), nil
}

func (going) DomainProgress(context.Context, int64, int) ([]notice.DomainProgress, error) {
	return []notice.DomainProgress{{Domain: "a1.example"}}, nil
}
