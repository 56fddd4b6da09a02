package render

import (
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// Needs returns which fields of a customer, such as name or attributes.plan, have to be there so that a mail has no
// hole in it: for all recipients of one customer who read text in a language. exact reports that such a mail has a hole
// if and only if one of fields is empty, so that a count finds all of them; otherwise, and for mailboxes that several
// customers share, Check has to look at each. Its error is the *notice.Error of a hole that all of those mails have.
func (p *Program) Needs(language, text string) (fields []string, exact bool, err error) {
	reader, err := p.reader(readerKey{text: text, language: language})
	if err != nil {
		return nil, false, err
	}
	m, err := p.compile(reader, notice.Recipient{Customers: make([]notice.Frozen, 1)}, nil)
	if err != nil {
		return nil, false, err
	}
	exact = !m.varied && len(m.Links) == 0
	for _, v := range m.Values {
		name, known := v.Expr.needs()
		exact = exact && known
		if name != "" {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields), exact, nil
}

// needs returns the field of the first customer that x can't be printed without, if there is one; known is false
// where more than that decides.
func (x *expr) needs() (name string, known bool) {
	switch {
	case x.Op == opField && x.Args[0].first():
		return strings.ToLower(x.Name), true
	case x.Op == opField && x.Args[0].Op == opField && x.Args[0].Name == "Attributes" && x.Args[0].Args[0].first():
		return "attributes." + x.Name, true
	case x.Op == opCall && x.Name == "len":
		return "", true
	case x.Op == opCall && (x.Name == "default" || x.Name == "or"):
		covered := false
		for _, a := range x.Args {
			if a.Op == opNumber || a.Op == opText && strings.TrimSpace(a.Name) != "" {
				covered = true
			} else if _, known := a.needs(); !known {
				return "", false
			}
		}
		return "", covered
	}
	return "", false
}

// first reports whether x is the first customer of the mailbox.
func (x *expr) first() bool {
	return x.Op == opCustomer && x.N == 0 || x.Op == opField && x.Args[0].Op == opRoot && x.Name == "Customer"
}

// counts reports whether the value of x depends on no more of the recipient than how many customers it has.
func (x *expr) counts() bool {
	switch {
	case !x.personal(), x.Op == opField && x.Args[0].Op == opRoot && x.Name == "Customers":
		return true
	case x.Op == opCall:
		return !slices.ContainsFunc(x.Args, func(a *expr) bool { return !a.counts() })
	}
	return false
}
