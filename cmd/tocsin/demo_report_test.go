package main

import (
	"testing"

	"tocsin/internal/api"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// soundAccount is a ledger and an inbox that agree: a shared mailbox, an uncertain mail that came, one suppressed.
func soundAccount() (account, again) {
	st := notice.Status{Number: 1, State: notice.Sent, Customers: 4, Recipients: 3,
		Counts: map[string]int{"sent": 1, "uncertain": 1, "suppressed": 1, "failed": 0}}
	return account{
		st: st,
		rows: []notice.Delivery{
			{Seq: 0, Address: "A@example.org", Customers: []string{"c1", "c2"}, State: notice.DeliverySent, MessageID: "<0@x>"},
			{Seq: 1, Address: "b@example.org", Customers: []string{"c3"}, State: notice.DeliveryUncertain, MessageID: "<1@x>"},
			{Seq: 2, Customers: []string{"c4"}, State: notice.DeliverySuppressed, MessageID: "<2@x>"},
		},
		mails: []sink.Mail{
			{RcptTo: []string{"a@example.org"}, MessageID: "<0@x>"},
			{RcptTo: []string{"b@example.org"}, MessageID: "<1@x>"},
		},
	}, again{before: st, after: st}
}

func TestTheDemoSeesWhateverIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*account, *again)
		fails int // how many findings do not hold
	}{
		"nothing": {func(*account, *again) {}, 0},
		"a mailbox got two mails": {func(a *account, _ *again) {
			a.mails = append(a.mails, sink.Mail{RcptTo: []string{"A@EXAMPLE.org"}, MessageID: "<0@x>"})
		}, 2},
		"a mail that nobody owed":                  {func(a *account, _ *again) { a.mails[1].MessageID = "<9@x>" }, 1},
		"a sent mail that did not come":            {func(a *account, _ *again) { a.mails = a.mails[1:] }, 1},
		"an uncertain mail that did not come":      {func(a *account, _ *again) { a.mails = a.mails[:1] }, 0},
		"a mail in the wrong mailbox":              {func(a *account, _ *again) { a.mails[0].RcptTo[0] = "z@example.org" }, 1},
		"a failed delivery whose mail came":        {func(a *account, _ *again) { a.rows[0].State = notice.DeliveryFailed }, 2},
		"a customer on two rows":                   {func(a *account, _ *again) { a.rows[1].Customers[0] = "c1" }, 1},
		"a customer on none":                       {func(a *account, _ *again) { a.st.Customers = 5 }, 1},
		"states that do not add up":                {func(a *account, _ *again) { a.st.Recipients = 4 }, 1},
		"a second press that made a notice":        {func(_ *account, p *again) { p.receipt = api.Receipt{Created: true} }, 1},
		"a second press that sent a mail":          {func(_ *account, p *again) { p.mails = 1 }, 1},
		"a second press that changed the counts":   {func(_ *account, p *again) { p.after.Counts = map[string]int{"sent": 2} }, 1},
		"a second press that reopened what is out": {func(_ *account, p *again) { p.after.State = notice.Sending }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acc, press := soundAccount()
			c.spoil(&acc, &press)
			fails := 0
			for _, f := range append(acc.checks(), press.check()) {
				if !f.holds {
					fails++
				}
			}
			if fails != c.fails {
				t.Errorf("%d findings do not hold, want %d", fails, c.fails)
			}
		})
	}
}
