package control

import (
	"context"
	"errors"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// broken checks against the ledger which mailboxes a normal body says are down, and returns them. A domain that no
// customer has, and a filter that holds for nobody, are refused: some other one is down, and its customers would be
// written to in vain.
func (d *Desk) broken(ctx context.Context, b notice.Body, kept ledger.Notice) (down ledger.Broken, err error) {
	down.Domains = b.BrokenDomains
	if len(down.Domains) > 0 {
		missing, close, err := d.Ledger.UnknownDomain(ctx, down.Domains)
		switch {
		case err != nil:
			return down, err
		case missing != "" && close != "":
			return down, notice.Invalid("broken_domains", "no customer has an address at %s; did you mean %s?", missing, close)
		case missing != "":
			return down, notice.Invalid("broken_domains", "no customer has an address at %s", missing)
		}
	}
	if b.Broken.Filter == "" {
		return down, nil
	}
	const field = "broken.filter"
	if down.Filter, err = audience.ParseKept(b.Broken.Filter, kept.FilterRules); err != nil {
		return down, at(field, err)
	}
	if err := d.checkAttributes(ctx, b.Broken.Filter, down.Filter); err != nil {
		return down, at(field, err)
	}
	any, err := d.Ledger.Anybody(ctx, down.Filter)
	if err == nil && !any {
		err = notice.Invalid(field, "holds for no customer: no mailbox would be taken for broken")
	}
	return down, err
}

// at gives an error about a filter the field in which the filter stands.
func at(field string, err error) error {
	if e, ok := errors.AsType[*notice.Error](err); ok {
		return notice.Invalid(field, "%s", e.Message)
	}
	return err
}
