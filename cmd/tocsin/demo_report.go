package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"tocsin/internal/api"
	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// account is the notice as the ledger has it, and the mails that the inbox holds.
type account struct {
	st    notice.Status
	rows  []notice.Delivery
	mails []sink.Mail
}

// report prints the counts of the notice, checks the ledger against the inbox, and fails if they differ.
func (s *stage) report(ctx context.Context, st notice.Status, press again) (account, error) {
	s.say.step("tocsin report %s", st.Key)
	acc := account{st: st, mails: s.inbox.Mails()}
	for d, err := range s.client.Deliveries(ctx, st.Key, api.DeliveryQuery{}) {
		if err != nil {
			return acc, fmt.Errorf("report: %w", err)
		}
		acc.rows = append(acc.rows, d)
	}
	counts, err := s.client.Report(ctx, st.Key)
	if err != nil {
		return acc, fmt.Errorf("report: %w", err)
	}
	if err := printCounts(s.say, counts); err != nil {
		return acc, err
	}
	acc.printUncertain(s.say)

	s.say.step("Does the ledger say what the inbox holds?")
	sound := true
	for _, c := range append(acc.checks(), press.check()) {
		mark := s.say.good("✓")
		if !c.holds {
			mark, sound = s.say.bad("✗ NOT TRUE:"), false
		}
		s.say.line("  %s %s", mark, c.what)
	}
	if !sound {
		return acc, errors.New("the ledger and the inbox do not agree: this must never happen")
	}
	return acc, s.showMails(acc)
}

// printUncertain counts the mails that the killed worker may have sent, and shows the command that settles them.
func (acc account) printUncertain(say *speaker) {
	n := acc.st.Counts[notice.DeliveryUncertain.String()]
	if n == 0 {
		say.line("\n  Nothing is uncertain: worker 1 died between two mails.")
		return
	}
	arrived := 0
	held := acc.held()
	for _, d := range acc.rows {
		if _, ok := held[d.MessageID]; ok && d.State == notice.DeliveryUncertain {
			arrived++
		}
	}
	say.line("\n  Of the %s that are uncertain %s did arrive: worker 1 died before it heard the", count(n), count(arrived))
	say.line("  answers. Support looks for them in the relay's log, and decides:")
	say.line("    tocsin notice settle KEY --sent|--requeue --all-uncertain")
}

// held returns the mails in the inbox by Message-ID.
func (acc account) held() map[string]sink.Mail {
	held := map[string]sink.Mail{}
	for _, m := range acc.mails {
		held[m.MessageID] = m
	}
	return held
}

// finding is something that must be true.
type finding struct {
	what  string
	holds bool
}

// checks compares the ledger with the inbox.
func (acc account) checks() []finding {
	customers, on := map[string]bool{}, 0
	states := map[string]int{}
	for _, d := range acc.rows {
		for _, id := range d.Customers {
			customers[id] = true
			on++
		}
		states[d.State.String()]++
	}
	var terms []string
	sum := 0
	for _, state := range notice.DeliveryStates {
		if n := acc.st.Counts[state.String()]; n > 0 || states[state.String()] != n {
			terms = append(terms, fmt.Sprintf("%s %s", count(n), state))
			sum += n
		}
	}
	boxes := map[string]bool{}
	for _, m := range acc.mails {
		for _, to := range m.RcptTo {
			boxes[mailbox(to)] = true
		}
	}
	return []finding{
		{fmt.Sprintf("each of the %s stands on exactly one row", many(acc.st.Customers, "customer")),
			on == acc.st.Customers && len(customers) == on},
		{strings.Join(terms, " + ") + " = " + many(acc.st.Recipients, "recipient"),
			sum == acc.st.Recipients && len(acc.rows) == sum && maps.Equal(nonZero(acc.st.Counts), states)},
		{fmt.Sprintf("%s in the inbox for %s mailboxes: nobody got two", many(len(acc.mails), "mail"), count(len(boxes))),
			len(acc.mails) == len(boxes)},
		{"what is sent is in the inbox; what is in the inbox is sent or uncertain", acc.explained()},
	}
}

func nonZero(counts map[string]int) map[string]int {
	rest := maps.Clone(counts)
	maps.DeleteFunc(rest, func(_ string, n int) bool { return n == 0 })
	return rest
}

// explained reports whether the ledger explains the inbox, mail by mail.
func (acc account) explained() bool {
	held := acc.held()
	explained := 0
	for _, d := range acc.rows {
		m, arrived := held[d.MessageID]
		switch {
		case d.State == notice.DeliverySent && !arrived:
			return false
		case !arrived:
		case d.State != notice.DeliverySent && d.State != notice.DeliveryUncertain:
			return false
		case len(m.RcptTo) != 1 || mailbox(m.RcptTo[0]) != mailbox(d.Address):
			return false
		default:
			explained++
		}
	}
	return explained == len(acc.mails)
}

// mailbox returns the key that all spellings of an address share.
func mailbox(address string) string {
	a, err := audience.ParseAddress(address)
	if err != nil {
		return address
	}
	return a.Key()
}

func (p again) check() finding {
	same := maps.Equal(p.before.Counts, p.after.Counts) && p.before.Recipients == p.after.Recipients &&
		p.before.Number == p.after.Number && p.before.State == p.after.State
	return finding{"pressing send again moved nothing: no new mail, and the same counts",
		same && !p.receipt.Created && p.mails == 0}
}
