package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tocsin/examples"
	"tocsin/internal/api"
	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// The demo's workers take a tenth of the usual times, so that a dead worker's mails are found while somebody looks on.
const (
	demoLease      = 6 * time.Second
	demoFirstRetry = 2 * time.Second
)

const (
	demoNotice  = "mail-outage"
	demoPatient = 2 * time.Minute        // with the sending, which takes a quarter of a minute
	demoAnswer  = 150 * time.Millisecond // how long the inbox takes for a mail, as a relay that is some way off
	demoKillAt  = 40                     // per cent
	demoFrom    = "Saltmarsh Hosting Status <status@saltmarsh.example>"
)

type demoCmd struct {
	Keep bool `help:"Leave all of it running until Ctrl-C, with the inbox as a web page."`
}

// Run plays the whole path on this machine and checks the result.
func (c *demoCmd) Run(ctx context.Context, a *app) (err error) {
	began := time.Now()
	say := newSpeaker(a.stdout)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer func() {
		// A part that ends by itself is why everything after it failed.
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		} else if err != nil && ctx.Err() != nil {
			err = errors.New("interrupted: everything that the demo had started is stopped")
		}
	}()

	say.title("tocsin demo: everything on this machine, and no mail leaves it")
	s, err := setStage(ctx, a, say, fail)
	defer s.close()
	if err != nil {
		return err
	}
	if err := s.importCustomers(ctx); err != nil {
		return err
	}
	body, err := demoBody()
	if err != nil {
		return err
	}
	st, err := s.send(ctx, a, body)
	if err != nil {
		return err
	}
	again, err := s.sendAgain(ctx, body, st)
	if err != nil {
		return err
	}
	acc, err := s.report(ctx, st, again)
	if err != nil {
		return err
	}
	if c.Keep {
		return s.keep(ctx, acc)
	}
	say.step("Done in %.0f seconds", time.Since(began).Seconds())
	say.line("  The notice is examples/%s. What is promised, and why it holds, is in", demoNotice)
	say.line("  docs/guarantees.md. To look around in the inbox and the ledger: demo --keep")
	return nil
}

// demoBody reads the example notice, which the program carries with it.
func demoBody() (notice.Body, error) {
	dir, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return notice.Body{}, fmt.Errorf("unpack the example: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, examples.FS); err != nil {
		return notice.Body{}, fmt.Errorf("unpack the example: %w", err)
	}
	return directory.Read(dir + "/" + demoNotice)
}

func (s *stage) importCustomers(ctx context.Context) error {
	s.say.step("tocsin customers import examples/customers.csv")
	file, err := examples.FS.Open("customers.csv")
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := s.client.ImportCustomers(ctx, file, api.CustomerFile{Format: api.FormatCSV, ImportOptions: notice.ImportOptions{Strict: true}})
	if err != nil {
		return fmt.Errorf("import customers: %w", err)
	}
	s.say.line("  %s read: %s inserted, %s rejected", many(r.Read, "row"), count(r.Inserted), count(len(r.Rejected)))
	if len(r.Rejected) > 0 || r.Inserted != r.Read {
		return errors.New("the example's customers did not all go in")
	}
	return nil
}

// send works like tocsin notice send --wait, and kills a worker on the way.
func (s *stage) send(ctx context.Context, a *app, body notice.Body) (st notice.Status, err error) {
	s.say.step("tocsin notice send examples/%s --yes --wait", demoNotice)
	if _, err := s.client.Draft(ctx, body); err != nil {
		return st, fmt.Errorf("make the draft: %w", err)
	}
	plan, err := s.client.PreviewDraft(ctx, body.Key)
	if err != nil {
		return st, fmt.Errorf("plan: %w", err)
	}
	if err := sendable(plan); err != nil {
		return st, err
	}
	s.say.line("  %s, %s: %s in %s, %s of them", many(plan.Customers, "customer"), many(plan.Recipients, "recipient"),
		many(mailed(plan), "mail"), many(len(plan.ByLanguage), "language"), count(plan.Alternates))
	s.say.line("  to an alternate address, since %s is what is broken", strings.Join(body.BrokenDomains, " and "))
	r, err := s.client.Release(ctx, body.Key, notice.Releasing{Plan: plan.Digest})
	if err != nil {
		return st, fmt.Errorf("release: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, demoPatient, errors.New("the notice was not out within two minutes"))
	defer cancel()
	progress := newSending(a.stderr)
	defer progress.close()
	st, err = s.follow(ctx, progress, r.Status, func(st notice.Status) bool { return settled(st)*100 >= st.Recipients*demoKillAt })
	if err != nil {
		return st, err
	}
	progress.close()
	if err := s.killOne(); err != nil {
		return st, err
	}
	return s.follow(ctx, progress, st, func(st notice.Status) bool { return st.State.Finished() })
}

// follow shows progress until enough returns true.
func (s *stage) follow(ctx context.Context, progress *sending, st notice.Status, enough func(notice.Status) bool) (notice.Status, error) {
	for {
		progress.show(st, time.Now())
		if enough(st) {
			return st, nil
		}
		if st.State.Finished() || st.State == notice.Held {
			return st, fmt.Errorf("the notice is %s too early", st.State)
		}
		next, err := s.client.Status(ctx, st.Key, 100*time.Millisecond)
		switch {
		case ctx.Err() != nil:
			return st, context.Cause(ctx)
		case err != nil:
			return st, fmt.Errorf("follow the notice: %w", err)
		}
		st = next
	}
}

// killOne kills a worker in the middle of its work, and has a new one take its place.
func (s *stage) killOne() error {
	s.workers[0].kill()
	worker, err := s.start("worker 3", "work")
	if err != nil {
		return err
	}
	s.workers = append(s.workers, worker)
	s.say.line("  %s worker 1 is killed with kill -9, in the middle of it; worker 3 starts.", s.say.bold("!"))
	s.say.line("    What worker 1 had begun is taken over when its lease has run out, after %s", demoLease)
	s.say.line("    (a minute outside of the demo). What it may have sent is not sent again.")
	return nil
}

// again is the effect of a second press of the same notice.
type again struct {
	receipt       api.Receipt
	before, after notice.Status
	mails         int // by which the inbox grew
}

// sendAgain presses send once more.
func (s *stage) sendAgain(ctx context.Context, body notice.Body, before notice.Status) (p again, err error) {
	s.say.step("tocsin notice send examples/%s --yes, pressed again", demoNotice)
	p.before = before
	held := s.inbox.Count()
	if p.receipt, err = s.client.Draft(ctx, body); err == nil {
		p.receipt, err = s.client.Release(ctx, body.Key, notice.Releasing{})
	}
	if err == nil {
		p.after, err = s.client.Status(ctx, body.Key, 0)
	}
	if err != nil {
		return p, fmt.Errorf("press again: %w", err)
	}
	p.mails = s.inbox.Count() - held
	s.say.line("  It was released before: created %t, %s more in the inbox", p.receipt.Created, many(p.mails, "mail"))
	return p, nil
}
