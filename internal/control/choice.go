package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// normalAudience checks the parts of an audience that need no look into the ledger.
func normalAudience(key string, a notice.Audience) (notice.Audience, error) {
	a.Filter, a.Notice = strings.TrimSpace(a.Filter), strings.TrimSpace(a.Notice)
	switch {
	case a.Customers != nil && a.Notice != "":
		return a, notice.Invalid("audience", "is either a list of customers or an earlier notice's, not both")
	case a.Customers != nil && len(a.Customers) == 0:
		return a, notice.Invalid("audience.customers", "names no customer")
	case len(a.Customers) > notice.MaxListed:
		return a, notice.Invalid("audience.customers", "names more than %d customers", notice.MaxListed)
	case a.IncludeNew && a.Notice == "":
		return a, notice.Invalid("audience.include_new", "goes with notice: it adds who has come to an earlier notice's audience since")
	case len(a.State) > 0 && a.Notice == "":
		return a, notice.Invalid("audience.state", "goes with notice: it narrows an earlier notice to the customers whose mail is in one of these states")
	case a.ContactFault() != "":
		return a, notice.Invalid("audience.contact", "%s", a.ContactFault())
	case a.Notice == key && key != "":
		return a, notice.Invalid("audience.notice", "names the notice itself")
	}
	a.State = slices.Compact(slices.Sorted(slices.Values(a.State)))
	if a.Customers == nil {
		return a, nil
	}
	ids := make([]string, len(a.Customers))
	for i, id := range a.Customers {
		clean, reason := audience.CheckListed(id)
		if reason != "" {
			return a, notice.Invalid(fmt.Sprintf("audience.customers[%d]", i), "%s", reason)
		}
		ids[i] = clean
	}
	a.Customers = ids
	a.Sum(key)
	return a, nil
}

// choose checks a normal audience against the ledger and returns its choice of customers. Its filter is read by the rules of the
// draft that it is kept in, and its list is the draft's.
func (d *Desk) choose(ctx context.Context, a notice.Audience, kept ledger.Notice) (c ledger.Choice, err error) {
	if c.Filter, err = audience.ParseKept(a.Filter, kept.FilterRules); err != nil {
		return c, err
	}
	if err := d.checkAttributes(ctx, a.Filter, c.Filter); err != nil {
		return c, err
	}
	switch {
	case a.Customers != nil:
		c.Customers = a.Customers
		return c, d.checkListed(ctx, a.Customers)
	case a.Digest != "":
		c.Customers, err = d.Ledger.Listed(ctx, kept.ID)
		return c, err
	case a.Notice != "":
		return c, d.goBack(ctx, a, &c)
	}
	return c, nil
}

// checkAttributes refuses a filter on an attribute that no customer has.
func (d *Desk) checkAttributes(ctx context.Context, text string, f notice.Filter) error {
	for _, name := range f.Attributes() {
		known, others, err := d.knownAttribute(ctx, name)
		if err != nil {
			return err
		}
		if !known {
			return audience.CheckAttributes(text, f, others)
		}
	}
	return nil
}

// knownAttribute reports whether some customer has an attribute. Mostly one is found soon. If none has it, knownAttribute reads
// all customers and returns the names of their attributes.
func (d *Desk) knownAttribute(ctx context.Context, name string) (known bool, others []string, err error) {
	known, err = d.Ledger.Anybody(ctx, notice.Filter{Op: notice.FilterHas, Field: name, Attribute: true, Value: "*"})
	if err == nil && !known {
		others, err = d.Ledger.AttributeNames(ctx)
	}
	return known, others, err
}

// checkListed refuses a list with an id that no customer has. It says where, and not which: an id may be anything.
func (d *Desk) checkListed(ctx context.Context, ids []string) error {
	first, n, err := d.Ledger.UnknownCustomers(ctx, ids)
	if err != nil || n == 0 {
		return err
	}
	more := ""
	if n > 1 {
		more = fmt.Sprintf("; neither is it of %d more in the list", n-1)
	}
	return notice.Invalid(fmt.Sprintf("audience.customers[%d]", first), "is the id of no customer%s", more)
}

// farBack is over how many notices an audience may go back.
const farBack = 20

// goBack resolves an audience that names an earlier notice. The customers who are new to that one are chosen by its own
// audience, which may name a still earlier one.
func (d *Desk) goBack(ctx context.Context, a notice.Audience, c *ledger.Choice) error {
	for range farBack {
		id, err := d.Ledger.Find(ctx, a.Notice)
		if notice.CodeOf(err) == notice.CodeNotFound {
			return notice.Invalid("audience.notice", "there is no notice %q", a.Notice)
		}
		if err != nil {
			return err
		}
		earlier, err := d.Ledger.Notice(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case !earlier.State.Released():
			return notice.Invalid("audience.notice", "notice %q is a draft: nobody stands on it yet", earlier.Key)
		case !earlier.Planned:
			return notice.Invalid("audience.notice", "notice %q has not left: nobody stands on it yet", earlier.Key)
		case earlier.RowsDroppedAt != nil:
			return notice.Invalid("audience.notice", "who stood on notice %q is not known any more: its rows were dropped on %s",
				earlier.Key, earlier.RowsDroppedAt.UTC().Format(time.DateOnly))
		}
		c.Notice, c.States = id, a.State
		if !a.IncludeNew {
			return nil
		}
		for earlier.Body.Amends != "" { // an amendment has the audience of the notice that it stopped
			if earlier, err = d.find(ctx, earlier.Body.Amends); err != nil {
				return err
			}
		}
		a = earlier.Body.Audience
		if a.Digest != "" {
			return notice.Invalid("audience.include_new", "notice %q went to a list of customers: nobody can be new to it", earlier.Key)
		}
		c.New = &ledger.Choice{}
		c = c.New
		if c.Filter, err = audience.ParseKept(a.Filter, earlier.FilterRules); err != nil {
			return fmt.Errorf("read the audience of notice %d: %w", id, err)
		}
		if a.Notice == "" {
			return nil
		}
	}
	return notice.Invalid("audience.notice", "goes back over more than %d notices: name an earlier one of them", farBack)
}
