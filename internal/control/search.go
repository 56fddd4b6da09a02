package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// mostFound bounds how many customers a search returns.
const mostFound = 100

// Look answers "did they get it?". The text is an address in any spelling, an external id, a Message-ID or the id of a
// relay's queue. It may be a part of a customer's name or other fields, too. ref is the notice that is asked about, "" for
// the newest one to the mailbox.
func (d *Desk) Look(ctx context.Context, text, ref string) (f notice.Found, err error) {
	l := look{desk: d, text: pasted(text)}
	if ref != "" {
		if l.notice, err = d.find(ctx, ref); err != nil {
			return f, err
		}
	}
	for _, read := range []func(context.Context) (bool, error){l.message, l.address, l.customer, l.queued, l.named} {
		if found, err := read(ctx); err != nil {
			return f, err
		} else if found {
			break
		}
	}
	return l.end(ctx)
}

// pasted is the text without that which a mail program copies along: the name of a header, "mailto:", the name before an address.
func pasted(text string) string {
	text = strings.TrimSpace(text)
	for _, before := range []string{"message-id:", "mailto:"} {
		if len(text) > len(before) && strings.EqualFold(text[:len(before)], before) {
			text = strings.TrimSpace(text[len(before):])
		}
	}
	name, address, found := strings.Cut(text, "<")
	if address, closed := strings.CutSuffix(address, ">"); found && closed && name != "" && strings.Contains(address, "@") {
		return address
	}
	return text
}

// LookAt is the answer about one delivery of a notice, also one that no mail was made for.
func (d *Desk) LookAt(ctx context.Context, ref string, seq int) (f notice.Found, err error) {
	l := look{desk: d}
	if l.notice, err = d.find(ctx, ref); err != nil {
		return f, err
	}
	if err = l.deliveries(ctx, notice.ReadMessageID, []int64{l.notice.ID}, []int{seq}); err != nil {
		return f, err
	}
	return l.end(ctx)
}

// end completes that which was found.
func (l *look) end(ctx context.Context) (notice.Found, error) {
	f := l.found
	if f.Customers == nil {
		f.Customers = []notice.Customer{}
	}
	if err := l.desk.Subjects(ctx, f.Deliveries); err != nil {
		return f, err
	}
	return f, l.answer(ctx, &f)
}

// look is a search under way. Its methods read the text in one way each, and report whether it can be read so.
type look struct {
	desk   *Desk
	text   string
	notice ledger.Notice // the zero Notice: all of them
	found  notice.Found
}

// message reads the text as a Message-ID, with angle brackets or without.
func (l *look) message(ctx context.Context) (bool, error) {
	id := "<" + strings.Trim(l.text, "<>") + ">"
	noticeID, seq, _, err := l.desk.Ledger.FindMessage(ctx, id)
	if err != nil || noticeID == 0 {
		if strings.HasPrefix(l.text, "<") && strings.HasSuffix(l.text, ">") {
			l.found.ReadAs = notice.ReadMessageID
			return true, err
		}
		return false, err
	}
	return true, l.deliveries(ctx, notice.ReadMessageID, []int64{noticeID}, []int{seq})
}

// deliveries finds deliveries by their keys, and their customers.
func (l *look) deliveries(ctx context.Context, as notice.ReadAs, ids []int64, seqs []int) (err error) {
	l.found.ReadAs = as
	if l.found.Deliveries, err = l.desk.Ledger.Entries(ctx, ids, seqs); err != nil {
		return err
	}
	for _, e := range l.found.Deliveries {
		for _, id := range e.Delivery.Customers[:min(mostFound, len(e.Delivery.Customers))] {
			c, err := l.desk.Ledger.Customer(ctx, id)
			if err != nil && notice.CodeOf(err) != notice.CodeNotFound {
				return err
			}
			if err == nil && len(l.found.Customers) < mostFound && !slices.ContainsFunc(l.found.Customers, func(o notice.Customer) bool { return o.ID == id }) {
				l.found.Customers = append(l.found.Customers, c)
			}
		}
	}
	return nil
}

// address reads the text as an address.
func (l *look) address(ctx context.Context) (ok bool, err error) {
	a, err := audience.ParseAddress(l.text)
	if err != nil {
		return false, nil
	}
	l.found.ReadAs = notice.ReadAddress
	if l.found.Deliveries, err = l.desk.Ledger.HistoryOf(ctx, l.notice.ID, l.text, a.Key()); err != nil {
		return true, err
	}
	l.found.Customers, err = l.desk.Ledger.Customers(ctx, notice.CustomerPage{Limit: mostFound, AddressKey: a.Key()})
	return true, err
}

// customer reads the text as an external id, also of a customer who was deleted without their rows.
func (l *look) customer(ctx context.Context) (ok bool, err error) {
	for _, id := range slices.Compact([]string{l.text, audience.CanonicalID(l.text)}) {
		c, err := l.desk.Ledger.Customer(ctx, id)
		if err != nil && notice.CodeOf(err) != notice.CodeNotFound {
			return false, err
		}
		if err == nil {
			l.found.Customers = []notice.Customer{c}
		}
		if l.found.Deliveries, err = l.desk.Ledger.HistoryOf(ctx, l.notice.ID, id, ""); err != nil {
			return false, err
		}
		if len(l.found.Customers)+len(l.found.Deliveries) > 0 {
			l.found.ReadAs = notice.ReadCustomer
			return true, nil
		}
	}
	return false, nil
}

// named reads the text as the beginning of a name, or else as a part of any field.
func (l *look) named(ctx context.Context) (ok bool, err error) {
	l.found.ReadAs = notice.ReadText
	if l.found.Customers, err = l.desk.Ledger.CustomersNamed(ctx, l.text, mostFound); err != nil {
		return false, err
	}
	if len(l.found.Customers) == 0 && l.text != "" {
		l.found.Customers, err = l.desk.Ledger.Customers(ctx, notice.CustomerPage{Limit: mostFound, Text: l.text})
	}
	if err == nil && len(l.found.Customers) == 1 {
		l.found.Deliveries, err = l.desk.Ledger.HistoryOf(ctx, l.notice.ID, l.found.Customers[0].ID, "")
	}
	return true, err
}

// queued reads the text as the id that a relay gave to a mail: it has a digit, as few names do.
func (l *look) queued(ctx context.Context) (ok bool, err error) {
	if !strings.ContainsAny(l.text, "0123456789") {
		return false, nil
	}
	ids, seqs, err := l.desk.Ledger.FindQueueID(ctx, l.text, l.notice.ID)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	return true, l.deliveries(ctx, notice.ReadQueueID, ids, seqs)
}

// answer puts the verdict in the first line.
func (l *look) answer(ctx context.Context, f *notice.Found) (err error) {
	if len(f.Deliveries) > 0 {
		f.Verdict, f.Answer = f.Deliveries[0].DidItArrive(time.UTC)
		f.Timeline, err = l.desk.Ledger.Timeline(ctx, f.Deliveries[0].Number, f.Deliveries[0].Delivery.Seq)
		return err
	}
	f.Timeline = []notice.Event{}
	switch n := l.notice; {
	case f.ReadAs == notice.ReadMessageID:
		f.Verdict, f.Answer = notice.VerdictUnknown, "Unknown: no mail that the ledger has was sent under this Message-ID"
	case len(f.Customers) == 0 && f.ReadAs == notice.ReadAddress:
		f.Verdict, f.Answer = notice.VerdictNoCustomer, "No such customer: nobody has this address, and no notice went to it"
	case len(f.Customers) == 0:
		f.Verdict, f.Answer = notice.VerdictNoCustomer, "No such customer"
	case len(f.Customers) > 1:
		f.Verdict, f.Answer = notice.VerdictSeveral, fmt.Sprintf("%d customers have this text: choose one by id", len(f.Customers))
		if len(f.Customers) == mostFound {
			f.Answer = "Many customers have this text: choose one by id, or say more of it"
		}
	case n.ID == 0:
		f.Verdict, f.Answer = notice.VerdictNoNotice, "No notice that the ledger has was for them"
	case !n.Planned:
		f.Verdict, f.Answer = notice.VerdictNotYet, fmt.Sprintf("Not yet: notice %s has not been released, or its audience is resolved when it leaves", n.Key)
	case n.RowsDroppedAt != nil:
		f.Verdict, f.Answer = notice.VerdictRowsDropped, fmt.Sprintf("Unknown: the rows of notice %s were dropped on %s, because they were old", n.Key, n.RowsDroppedAt.UTC().Format(time.DateOnly))
	default:
		f.Verdict = notice.VerdictNotInvited
		why, err := l.desk.outside(ctx, n, f.Customers[0])
		f.Outside, f.Answer = &why, "Not in the audience: "+why.String()
		return err
	}
	return nil
}

// outside says why a customer is on no row of a notice, by today's data of them in the ledger.
func (d *Desk) outside(ctx context.Context, n ledger.Notice, c notice.Customer) (o notice.Outside, err error) {
	a := n.Body.Audience
	switch {
	case a.Notice != "":
		return notice.Outside{Why: notice.OutsideNotice, Notice: a.Notice}, nil
	case a.Digest != "" || a.Customers != nil:
		return notice.Outside{Why: notice.OutsideList}, nil
	}
	filter, err := audience.ParseKept(a.Filter, n.FilterRules)
	if err != nil {
		return o, fmt.Errorf("read the filter of notice %d: %w", n.ID, err)
	}
	now, err := d.Ledger.Anybody(ctx, notice.Filter{Op: notice.FilterAnd, Args: []notice.Filter{filter, {Op: notice.FilterExact, Field: "id", Value: c.ID}}})
	if err != nil {
		return o, err
	}
	if now || filter.Op == notice.FilterAll {
		return notice.Outside{Why: notice.OutsideThen}, nil
	}
	return notice.Outside{Why: notice.OutsideFilter, Has: fields(filter, c), Filter: audience.Format(filter)}, nil
}

// fields are those that a filter looks at, as a customer has them, each once.
func fields(f notice.Filter, c notice.Customer) (all []notice.OutsideField) {
	if f.Field == "" {
		for _, a := range f.Args {
			all = append(all, fields(a, c)...)
		}
		slices.SortFunc(all, func(a, b notice.OutsideField) int { return cmp.Compare(a.Name, b.Name) })
		return slices.Compact(all)
	}
	value := notice.Frozen{Attributes: c.Attributes}.Attribute(f.Field)
	if !f.Attribute {
		value = map[string]string{"id": c.ID, "name": c.Name, "language": c.Language, "time_zone": c.TimeZone}[f.Field]
	}
	return []notice.OutsideField{{Name: f.Field, Value: value}}
}
