package render

import (
	"strings"

	"tocsin/internal/notice"
)

// Branch is a piece of a text that some recipients get and others do not.
type Branch struct {
	Language  string // of the text
	Place     string // file and line of its condition
	Condition string // as it is written, such as "if .Customer.Attributes.rebate"
}

// Branches returns the branches of all texts, in their order. It leaves out those of ready texts' parts, and those that
// depend on how many customers share the mailbox.
func (p *Program) Branches() []Branch { return p.branches }

// number finds the branches of nodes.
func (p *Program) number(language string, nodes []node) {
	for _, n := range nodes {
		a := n.action
		if a != nil && (a.keyword == "if" || a.keyword == "with") && !a.expr.counts() && !partOf(a.at.Where) {
			b := Branch{language, a.at.Where, a.keyword + " " + a.at.What}
			p.branches = append(p.branches, b)
			a.branch = len(p.branches)
			if !chained(n.other) {
				b.Condition = "else of " + b.Condition
				p.branches = append(p.branches, b)
				a.other = len(p.branches)
			}
		}
		p.number(language, n.body)
		p.number(language, n.other)
	}
}

// chained reports whether nodes are nothing, or the rest of an else if, which has branches of its own.
func chained(nodes []node) bool {
	controls := 0
	for _, n := range nodes {
		if n.action == nil && strings.Trim(n.literal, " \t\n"+markSoft) != "" || n.action != nil && n.action.keyword == "" {
			return false
		}
		if n.action != nil {
			controls++
		}
	}
	return controls < 2
}

// Taken sets, in taken, the numbers of the branches that the texts of a recipient's mail take, and returns the languages
// of these texts.
func (p *Program) Taken(r notice.Recipient, text string, taken []bool) (languages []string, err error) {
	reader, sections, err := p.readerOf(r, text)
	if err != nil {
		return nil, err
	}
	for _, t := range reader.texts {
		languages = append(languages, t.key)
	}
	for _, part := range parts(r, sections) {
		if _, err = p.trace(nil, reader, part, taken); err != nil {
			return nil, err
		}
	}
	return languages, nil
}
