package control

import (
	"context"

	"tocsin/internal/notice"
)

// earlier returns the notices of a body's incident that its mails show.
func (d *Desk) earlier(ctx context.Context, b notice.Body) (shown []notice.Earlier, err error) {
	sent, err := d.Ledger.Sent(ctx, b)
	if err != nil {
		return nil, err
	}
	bodies := make([]notice.Body, len(sent))
	for i, n := range sent {
		bodies[i] = n.Body
	}
	set, _ := d.Set.Current()
	for _, i := range notice.ShownIn(b, bodies) {
		n := sent[i]
		shown = append(shown, notice.Earlier{At: n.Date(), Body: n.Body.Shown(), Texts: set.Summaries(n.Body, n.Texts)})
	}
	return shown, nil
}
