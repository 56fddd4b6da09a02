package console

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"tocsin/internal/notice"
)

// domainsOfProgress is how many recipient domains the page of a notice names.
const domainsOfProgress = 12

// progresses counts, apart from pages, how fast mails leave, and to which domains. Each is counted on its own, since the
// latter reads every recipient.
type progresses struct {
	over    *beside[notice.Progress]
	domains *beside[[]notice.DomainProgress]
}

func newProgresses(log *slog.Logger) *progresses {
	return &progresses{newBeside[notice.Progress](log), newBeside[[]notice.DomainProgress](log)}
}

// read returns both of a notice.
func (p *progresses) read(ctx context.Context, book Book, st notice.Status) (over notice.Progress, domains []notice.DomainProgress, err error) {
	if st.FirstSentAt == nil || st.RowsDroppedAt != nil {
		return over, nil, nil
	}
	readOver := func(ctx context.Context) (notice.Progress, error) { return book.Progress(ctx, st.Number) }
	readDomains := func(ctx context.Context) ([]notice.DomainProgress, error) {
		return book.DomainProgress(ctx, st.Number, domainsOfProgress)
	}
	if st.Recipients > tallyAtOnce {
		key := strconv.FormatInt(st.Number, 10)
		return p.over.get(ctx, key, st.Counts, readOver), p.domains.get(ctx, key, st.Counts, readDomains), nil
	}
	if over, err = readOver(ctx); err == nil {
		domains, err = readDomains(ctx)
	}
	return over, domains, err
}

// chart is a Progress as a picture, and as a table.
type chart struct {
	*Frame
	Bars    []rectangle
	Relays  []numbered // with the mails that each took
	Rows    []chartRow
	From    time.Time
	To      time.Time
	Width   time.Duration
	Highest float64 // mails per second
	Domains []notice.DomainProgress
}

// rectangle is a part of a chart that is 1,000 wide and 100 high.
type rectangle struct {
	Relay      int
	X, Y, W, H float64
}

// chartRow is a span of a chart.
type chartRow struct {
	At    time.Time
	Taken int
	Rate  float64
}

// leastBars is from how many spans on a chart is drawn: a bar alone says nothing.
const leastBars = 3

// coloured is how many relays of a chart have a colour of their own.
const coloured = 5

// chart draws a Progress; nil where no mail was taken.
func (f *Frame) chart(p notice.Progress, domains []notice.DomainProgress) *chart {
	if p.Width == 0 || len(p.Relays) == 0 {
		return nil
	}
	c := &chart{Frame: f, From: p.From, To: p.From.Add(time.Duration(len(p.Taken)) * p.Width), Width: p.Width, Domains: domains}
	for _, relay := range p.Relays {
		c.Relays = append(c.Relays, numbered{Name: relay})
	}
	most := 1
	for i, taken := range p.Taken {
		row := chartRow{At: p.From.Add(time.Duration(i) * p.Width)}
		for relay, n := range taken {
			row.Taken += n
			c.Relays[relay].N += n
		}
		row.Rate = float64(row.Taken) / p.Width.Seconds()
		most = max(most, row.Taken)
		c.Rows = append(c.Rows, row)
	}
	c.Highest = float64(most) / p.Width.Seconds()
	if len(p.Taken) < leastBars {
		return c
	}
	w := 1000 / float64(len(p.Taken))
	for i, taken := range p.Taken {
		top := 100.0
		for relay, n := range taken {
			if h := 100 * float64(n) / float64(most); h > 0 {
				top -= h
				c.Bars = append(c.Bars, rectangle{min(relay, coloured-1), float64(i) * w, top, w * .92, h})
			}
		}
	}
	return c
}

// Says describes the picture to those who don't see it.
func (c *chart) Says() string {
	return c.T("chart.says", c.Speed(c.Highest), c.At(c.From), c.At(c.To))
}

// Share is how many of a domain's mails left, of 1,000.
func (c *chart) Share(d notice.DomainProgress) float64 {
	return 1000 * float64(d.Left) / float64(max(1, d.Mails))
}
