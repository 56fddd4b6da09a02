package control

import (
	"context"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// AddAddress sends a released notice to another address of a customer who stands on it, as one more row. A repeated call changes
// nothing, and answers how the row stands. A mailbox with a row that was not added for the customer is a conflict: the message says
// how that row stands.
func (d *Desk) AddAddress(ctx context.Context, ref string, a notice.Adding, who string) (added notice.Added, err error) {
	if a.Customer == "" {
		return added, notice.Invalid("customer", "is missing: the id of the customer whose address it is")
	}
	address, err := audience.ParseAddress(a.Address)
	if err != nil {
		return added, err
	}
	n, err := d.find(ctx, ref)
	if err != nil {
		return added, err
	}
	row, err := d.Ledger.AddRecipient(ctx, n.ID, ledger.Addition{
		Customer: audience.CanonicalID(a.Customer), Address: address.Text, Key: address.Key(), ApproveFrom: d.Approvals}, who)
	if err != nil {
		return added, err
	}
	if row.Created {
		d.sweep(ctx)
	}
	entries, err := d.Ledger.Entries(ctx, []int64{n.ID}, []int{row.Seq})
	if err != nil {
		return added, err
	}
	if len(entries) == 0 { // its rows were dropped meanwhile
		return added, notice.NotFound("notice %s has no delivery %d any more", n.Key, row.Seq)
	}
	e := entries[0]
	if row.Taken {
		e.Delivery.SMTPText = "" // it may name the address
		_, answer := e.DidItArrive(time.UTC)
		return added, notice.Conflict("that mailbox is recipient %d of notice %s already. %s", row.Seq, n.Key, answer)
	}
	added = notice.Added{Number: n.ID, Key: n.Key, Seq: row.Seq, Of: row.Of, State: e.Delivery.State, Created: row.Created}
	_, added.Answer = e.DidItArrive(time.UTC)
	return added, nil
}
