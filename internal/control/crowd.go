package control

import (
	"context"

	"tocsin/internal/notice"
)

// Crowd counts the audience of a body while it is written, in bounded time. An audience that says nobody has none.
func (d *Desk) Crowd(ctx context.Context, b notice.Body) (notice.Crowd, error) {
	asked := ctx
	ctx, done := context.WithTimeout(ctx, glanceTimeout)
	defer done()
	if !b.Audience.Given() {
		return notice.Crowd{}, nil
	}
	c, err := d.aimed(ctx, b)
	var all notice.Crowd
	if err == nil {
		all, err = d.Ledger.Crowd(ctx, c)
	}
	if ctx.Err() != nil && asked.Err() == nil { // an attribute that no customer has is looked for in all of them
		return notice.Crowd{More: true}, nil
	}
	return all, err
}
