package render

import (
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// needs returns which fields of a customer, such as name or attributes.plan, a mail to a reader needs to have no hole
// in it. It is for mailboxes of one customer, who has a name or none. exact reports that such a mail has a hole if and
// only if one of the fields is empty. Otherwise the mail has to be looked at.
func (p *Program) needs(reader *reader, named bool) (fields []string, exact bool) {
	of := make([]notice.Frozen, 1)
	if named {
		of[0].Name = "x"
	}
	m, err := p.compile(reader, notice.Recipient{Customers: of}, nil)
	if err != nil {
		return nil, false
	}
	exact = !m.varied && len(m.Links) == 0 && m.doubt == nil && !slices.ContainsFunc(m.Subjects, func(s []piece) bool {
		return !slices.ContainsFunc(s, func(p piece) bool { return !p.constant() || strings.TrimSpace(p.Text) != "" })
	})
	for _, v := range m.Values {
		name, known := v.Expr.needs()
		exact = exact && known
		if name != "" {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields), exact
}

// complete reports whether a customer has all fields.
func complete(c notice.Frozen, fields []string) bool {
	return !slices.ContainsFunc(fields, func(name string) bool {
		attribute, ok := strings.CutPrefix(name, "attributes.")
		switch {
		case ok:
			return clean(c.Attribute(attribute)) == ""
		case name == "id":
			return clean(c.ID) == ""
		}
		return clean(c.Name) == ""
	})
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
	case x.Op == opCall && x.Name != "list": // which has names
		return !slices.ContainsFunc(x.Args, func(a *expr) bool { return !a.counts() })
	}
	return false
}

// countsOrNames reports whether the truth of x depends on no more of the recipient than how many customers it has, and
// whether the first one has a name.
func (x *expr) countsOrNames() bool {
	switch {
	case x.counts(), x.Op == opField && x.Name == "Name" && x.Args[0].first():
		return true
	case x.Op == opCall && (x.Name == "and" || x.Name == "or" || x.Name == "not"):
		return !slices.ContainsFunc(x.Args, func(a *expr) bool { return !a.countsOrNames() })
	}
	return false
}
