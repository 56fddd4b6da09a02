package control

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"tocsin/internal/bounce"
	"tocsin/internal/notice"
)

// Choices returns the choices of the reader that a token admits. A forged token and one of a delivery that is not known any more are the
// same notice.Error of class not_found.
func (d *Desk) Choices(ctx context.Context, token string) (c notice.Choices, err error) {
	id, seq, err := d.readerOf(ctx, token)
	if err != nil {
		return c, err
	}
	return d.Ledger.Choices(ctx, id, seq)
}

// Choose stops a topic, or resumes it, for the mailbox of the reader that a token admits, and returns the choices since. Topic "" is
// that of the mail.
func (d *Desk) Choose(ctx context.Context, token string, topic notice.Scope, stop bool) (c notice.Choices, err error) {
	if topic != "" && !slices.Contains(notice.Topics, topic) {
		return c, notice.Invalid("topic", "is none that a reader can stop")
	}
	id, seq, err := d.readerOf(ctx, token)
	if err != nil {
		return c, err
	}
	if c, err = d.Ledger.Choose(ctx, id, seq, topic, stop); err == nil {
		d.Logger.Info("a reader has chosen", slog.Int64("notice_id", id), slog.Int("seq", seq), slog.Any("topic", cmp.Or(topic, c.Topic)), slog.Bool("stop", stop))
	}
	return c, err
}

// readerOf returns the delivery of the reader that a token admits.
func (d *Desk) readerOf(ctx context.Context, token string) (noticeID int64, seq int, err error) {
	if noticeID, seq, err = bounce.ReaderOf(token); err != nil {
		return 0, 0, notice.NotFound("there is no such reader")
	}
	messageToken, err := d.Ledger.MessageToken(ctx, noticeID)
	if err != nil {
		return 0, 0, err
	}
	keys, err := d.Ledger.BounceKeys(ctx)
	if err == nil && !bounce.Keys(keys).Admits(token, noticeID, seq, messageToken) {
		err = notice.NotFound("there is no such reader")
	}
	return noticeID, seq, err
}
