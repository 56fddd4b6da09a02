package main

import (
	"context"
	"fmt"

	"tocsin/internal/notice"
)

type addAddressCmd struct {
	remote
	Key      string `arg:"" name:"key-or-number" help:"The notice, which was released."`
	Customer string `required:"" placeholder:"ID" help:"The customer whose address it is; they stand on the notice."`
	Address  string `required:"" placeholder:"A" help:"Where to. A mailbox that has the notice, or is to have it, gets no second one."`
	JSON     bool   `name:"json" help:"Print the new row as JSON."`
}

// Run does nothing where the row is there already.
func (c *addAddressCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	added, err := client.AddAddress(ctx, c.Key, notice.Adding{Customer: c.Customer, Address: c.Address})
	if err != nil {
		return fmt.Errorf("add an address: %w", err)
	}
	if c.JSON {
		return document(a.stdout, added)
	}
	if added.Created {
		sentence(a.stdout, "That mailbox is recipient %d of %s now. It gets the mail of recipient %d, in its language.", added.Seq, added.Key, added.Of)
	} else {
		sentence(a.stdout, "That mailbox is recipient %d of %s already: nothing was done. %s.", added.Seq, added.Key, added.Answer)
	}
	return nil
}
