package render

import (
	"fmt"
	"slices"
	"strconv"

	"tocsin/internal/notice"
)

// The bounds of a mail with a section for each text of a mailbox's customers.
const (
	maxSections  = 50
	maxSectioned = 200 << 10 // bytes

	maxSectionSteps = 20 * maxSteps // to find the sections
)

// sections returns the customers of each section of a mailbox's mail, by number. A section is for customers with texts
// that would differ in names and ids alone. It returns nil where one text is for all of them. Its error is an
// *notice.Error: a mail has no room for the texts of all customers.
func (p *Program) sections(reader *reader, to notice.Recipient) ([][]int, error) {
	if len(to.Customers) < 2 || !slices.ContainsFunc(reader.texts, func(t *text) bool { return t.individual }) {
		return nil, nil
	}
	numbers, steps := map[string]int{}, 0
	var all [][]int
	for i := range to.Customers {
		s, n, err := p.signature(reader, to, i)
		if err != nil && i == 0 {
			return nil, nil // the mail that is the first one's says so too
		}
		if steps += n; steps > maxSectionSteps {
			return nil, notice.Invalid(reader.texts[0].body.label, "is too long for the %d customers of this mailbox", len(to.Customers))
		}
		n, ok := numbers[s]
		if !ok {
			n = len(all)
			numbers[s], all = n, append(all, nil)
		}
		if n == maxSections {
			return nil, notice.Invalid(reader.texts[0].body.label, "the %d customers of this mailbox would get more than %d different texts, for which a mail has no room",
				len(to.Customers), maxSections)
		}
		all[n] = append(all[n], i)
	}
	if len(all) < 2 {
		return nil, nil
	}
	return all, nil
}

// signature returns the same for customers with texts that differ in name and id alone. It also returns the steps that
// it took.
func (p *Program) signature(reader *reader, to notice.Recipient, customer int) (signature string, steps int, err error) {
	var s []byte
	for i, t := range reader.texts {
		m := &Mail{}
		e := p.env(reader, i, to)
		e.first = customer
		x, err := p.expand(t, &values{mail: m, index: map[string]int{}}, e)
		if err != nil {
			return err.Error(), steps + maxSteps, err // the section that says so is its own
		}
		s, steps = append(append(s, x.own...), 0), steps+x.steps
		for _, v := range m.Values {
			if !v.Expr.individual() {
				continue
			}
			value, err := e.eval(v.Expr)
			if err != nil {
				return err.Error(), steps, err
			}
			s = strconv.AppendQuote(s, value.s)
		}
	}
	return string(s), steps, nil
}

// individual reports whether x depends on an attribute of .Customer, or compares its name or id.
func (x *expr) individual() bool {
	if name, ok := x.attribute(); ok && name != "" && x.Args[0].Args[0].isCustomer() {
		return true
	}
	compares := x.Op == opCall && functions[x.Name].compares
	return slices.ContainsFunc(x.Args, func(a *expr) bool {
		return a.individual() || compares && a.Op == opField && a.Args[0].isCustomer()
	})
}

// mayDiffer reports whether x, or an expression made of it, can be individual. The dot and variables are not known.
func (x *expr) mayDiffer() bool {
	return x.Op == opField && x.Name == "Attributes" || x.individual() || slices.ContainsFunc(x.Args, (*expr).mayDiffer)
}

// isCustomer reports whether x is .Customer, as far as that shows: a variable, or the dot, may be.
func (x *expr) isCustomer() bool {
	return x.Op == opDot || x.Op == opVar || x.Op == opField && x.Args[0].Op == opRoot && x.Name == "Customer"
}

// section returns the customers of a section.
func section(r notice.Recipient, numbers []int) notice.Recipient {
	all := r.Customers
	r.Customers = nil
	for _, n := range numbers {
		if n < len(all) {
			r.Customers = append(r.Customers, all[n])
		}
	}
	return r
}

// parts returns the customers of each section of a recipient's mail; without sections there is one, for all of them.
func parts(r notice.Recipient, sections [][]int) []notice.Recipient {
	all := []notice.Recipient{r}
	for i, numbers := range sections {
		all = append(all[:i], section(r, numbers))
	}
	return all
}

// sectionKey differs where sections are for other customers, or other customers have names.
func sectionKey(sections [][]int, to notice.Recipient) []byte {
	key := fmt.Append(nil, sections)
	for _, c := range to.Customers {
		key = append(key, byte(boolean(clean(c.Name) != "").i))
	}
	return key
}

// head writes the heading of a section: the accounts that it is for.
func (b *block) head(customers []notice.Frozen, number int) {
	l, site := &line{Underline: "="}, &site{b.label, "the heading of a section"}
	html := []piece{{Text: "<div class=\"section\">\n<p class=\"accounts\">"}}
	print := func(before string, i int, name, after string) {
		p := piece{Value: b.values.add(&expr{Op: opField, Name: name, Args: []*expr{{Op: opCustomer, N: i}}}, site), Form: formIsolated}
		l.Pieces = add(l.Pieces, piece{Text: before}, p, piece{Text: after})
		p.Form |= formHTML
		html = add(html, piece{Text: before}, p, piece{Text: after})
	}
	for i, c := range customers {
		end := ""
		if i < len(customers)-1 {
			end = ", "
		}
		if clean(c.Name) == "" {
			print("", i, "ID", end)
			continue
		}
		print("", i, "Name", " ")
		print("(", i, "ID", ")"+end)
	}
	b.html = add(add(b.html, html...), piece{Text: "</p>\n"})
	if number > 0 {
		b.text = add(b.text, piece{Text: "\n----------\n\n"})
	}
	b.text = add(b.text, piece{Line: l}, piece{Text: "\n"})
}

// joined makes one block of the sections of a text. The subject is the first one's.
func joined(sections []*block, customers []notice.Recipient) *block {
	whole := *sections[0]
	whole.html, whole.text = nil, nil
	for i, s := range sections {
		whole.values.section = i
		whole.head(customers[i].Customers, i)
		whole.html = add(add(whole.html, s.html...), piece{Text: "</div>\n"})
		whole.text = add(whole.text, s.text...)
	}
	return &whole
}

// checkSections refuses a mail with too many sections, or too large.
func (m *Mail) checkSections(r notice.Recipient) error {
	if len(m.Sections) == 0 {
		return nil
	}
	r.Address = "check@tocsin.invalid"
	raw, err := m.Append(nil, r, Stamp{})
	if err == nil && len(raw) > maxSectioned {
		err = notice.Invalid(m.SubjectAt[0], "the %d customers of this mailbox get %d texts, which make a mail of more than 200 KB",
			len(r.Customers), len(m.Sections))
	}
	return err
}
