package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Mailbox is a mailbox of an IMAP server (RFC 9051, and RFC 3501 before it). A mail that is neither \Seen nor \Flagged is
// handed over; it is \Seen once it is taken, and \Flagged if it is refused. To have one offered again, take its flag off.
type Mailbox struct {
	in      *Intake
	account Account
	poll    time.Duration // between two looks where the server does not offer IDLE
	refresh time.Duration // between two looks where it does: a dead connection, or a server that announced nothing, is noticed then

	rounds rounds[imap.UID]
	again  pauses // before it connects again
}

// NewMailbox returns the mailbox of an account.
func (in *Intake) NewMailbox(a Account) *Mailbox {
	return &Mailbox{in: in, account: a, poll: 30 * time.Second, refresh: time.Minute, again: pauses{least: time.Second, most: 5 * time.Minute}}
}

// Run hands over mails as they come in until ctx ends. It connects again for as long as it takes.
func (m *Mailbox) Run(ctx context.Context) error {
	for {
		err := m.session(ctx, func(c *imapConn) error { return m.follow(ctx, c) })
		if ctx.Err() != nil {
			return nil
		}
		pause := m.again.take()
		m.in.o.Logger.Warn("the IMAP mailbox can't be read, trying again", slog.Any("error", err), slog.Duration("in", pause))
		m.in.trouble(sourceIMAP, "the mailbox can't be read: the log says why")
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// Drain hands over the mails that are there now.
func (m *Mailbox) Drain(ctx context.Context) (t Tally, err error) {
	err = m.session(ctx, func(c *imapConn) error {
		t, err = m.round(ctx, c)
		return err
	})
	return t, err
}

// session connects, and selects the mailbox for use.
func (m *Mailbox) session(ctx context.Context, use func(*imapConn) error) error {
	c, err := m.account.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	m.rounds = rounds[imap.UID]{} // the numbers may mean other mails now
	if err := c.do(func() error { return m.selects(c) }); err != nil {
		return err
	}
	if err := use(c); err != nil {
		return err
	}
	return c.do(func() error { return c.Logout().Wait() })
}

// selects opens the mailbox, and refuses one in which nothing can be remembered.
func (m *Mailbox) selects(c *imapConn) error {
	mailbox, err := c.Select(m.account.Mailbox, nil).Wait()
	if err != nil {
		return fmt.Errorf("open the mailbox: %w", err)
	}
	keeps := func(f imap.Flag) bool { return slices.Contains(mailbox.PermanentFlags, f) }
	if mailbox.PermanentFlags != nil && !keeps(imap.FlagWildcard) && !(keeps(imap.FlagSeen) && keeps(imap.FlagFlagged)) {
		return errors.New(`open the mailbox: it is read-only, or keeps no \Seen and \Flagged, by which mails are known that were taken; give its user the rights`)
	}
	return nil
}

// follow hands over the mails that are there and those that come, until ctx or the connection ends.
func (m *Mailbox) follow(ctx context.Context, c *imapConn) error {
	wait := pauses{least: time.Second, most: time.Minute}
	for ctx.Err() == nil {
		t, err := m.round(ctx, c)
		if err != nil {
			return err
		}
		m.again.reset()
		m.in.trouble(sourceIMAP, "")
		if t.Left > 0 && t.Taken == 0 {
			sleep(ctx, wait.take())
			continue
		}
		wait.reset()
		if err := m.await(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// round hands over the mails that are there.
func (m *Mailbox) round(ctx context.Context, c *imapConn) (Tally, error) {
	var unread []imap.UID
	err := c.do(func() error {
		// The search finds all that was announced before it.
		select {
		case <-c.news:
		default:
		}
		found, err := c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen, imap.FlagFlagged, imap.FlagDeleted}}, nil).Wait()
		if err == nil {
			if all, ok := found.All.(imap.UIDSet); ok { // else there is none
				unread, _ = all.Nums()
			}
		}
		return err
	})
	if err != nil {
		return Tally{}, fmt.Errorf("look for mails: %w", err)
	}
	return m.rounds.run(ctx, unread, func(uid imap.UID) (Result, error) { return m.one(ctx, c, uid) })
}

// one hands over a mail.
func (m *Mailbox) one(ctx context.Context, c *imapConn, uid imap.UID) (Result, error) {
	var raw []byte
	if err := c.do(func() (err error) { raw, err = c.fetch(uid); return err }); err != nil {
		return none, fmt.Errorf("read a mail: %w", err)
	}
	if raw == nil {
		return none, nil // it is gone
	}
	result := m.in.hand(ctx, sourceIMAP, raw)
	flag := imap.FlagSeen
	switch result {
	case Refused:
		flag = imap.FlagFlagged
	case Left, Denied:
		return result, nil
	}
	err := c.do(func() error {
		return c.Store(imap.UIDSetNum(uid), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{flag}}, nil).Close()
	})
	if err != nil {
		return none, fmt.Errorf("flag a mail that was handed over: %w", err)
	}
	return result, nil
}

// await waits until there may be new mails.
func (m *Mailbox) await(ctx context.Context, c *imapConn) error {
	if !c.idles {
		sleep(ctx, m.poll)
		return nil
	}
	var idle *imapclient.IdleCommand
	if err := c.do(func() (err error) { idle, err = c.Idle(); return err }); err != nil {
		return fmt.Errorf("wait for mails: %w", err)
	}
	timer := time.NewTimer(m.refresh)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.news:
	case <-timer.C:
	case <-c.Closed():
	}
	err := c.do(func() error {
		if err := idle.Close(); err != nil {
			return err
		}
		return idle.Wait()
	})
	if err != nil {
		return fmt.Errorf("wait for mails: %w", err)
	}
	return nil
}

// fetch returns the first MaxMail bytes of a mail without marking it, nil if it is gone.
func (c *imapConn) fetch(uid imap.UID) (raw []byte, err error) {
	whole := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Size: MaxMail}}
	cmd := c.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{whole}})
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		for item := msg.Next(); item != nil; item = msg.Next() {
			body, ok := item.(imapclient.FetchItemDataBodySection)
			if !ok || body.Literal == nil {
				continue
			}
			if raw, err = io.ReadAll(io.LimitReader(body.Literal, MaxMail)); err != nil {
				return nil, errors.Join(err, cmd.Close())
			}
		}
	}
	return raw, cmd.Close()
}
