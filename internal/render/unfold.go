package render

import (
	"regexp"
	"slices"
	"strings"
)

// unfold gives the controls of groups that run over several lines ({{if}}, {{else}} and {{end}}, say) lines of their
// own. It does so where each of them stands at the beginning or at the end of a line:
//
//	{{range .Windows}}- {{.}}
//	{{end}}
//
// Everybody writes it like that, and Markdown would take it for a paragraph in which a range begins and does not end.
// Indentation, the marks of a quotation and that of a list item are kept. md is Markdown with tokens for actions.
func (t *tokens) unfold(md string) string {
	lines := strings.Split(md, "\n")
	alone := t.groups(lines)
	for i, line := range lines {
		indent, head, rest, tail := t.edges(line)
		cells := append(append(head, rest), tail...)
		if !slices.ContainsFunc(cells, func(c string) bool { _, ok := alone[c]; return ok }) {
			continue
		}
		var cut []string
		together := ""
		flush := func() {
			if strings.TrimSpace(together) != "" {
				cut = append(cut, further(indent)+together)
			}
			together = ""
		}
		for _, c := range cells {
			if at, ok := alone[c]; ok {
				flush()
				cut = append(cut, at+c)
			} else {
				together += c
			}
		}
		flush()
		// The first cell stays where it stood: behind the mark of its list item.
		if own := further(indent); strings.HasPrefix(cut[0], own) {
			cut[0] = indent + strings.TrimPrefix(cut[0], own)
		}
		lines[i] = strings.Join(cut, "\n")
	}
	return strings.Join(lines, "\n")
}

// further is the indentation of the lines below a line, in the same list item.
func further(indent string) string {
	return bullet.ReplaceAllStringFunc(indent, func(m string) string { return strings.Repeat(" ", len(m)) })
}

// groups returns the tokens of the groups of which each control can have a line to itself. With each stands the
// indentation that its line must have: that of the group's beginning. A token stands in the text once.
func (t *tokens) groups(lines []string) map[string]string {
	type group struct {
		tokens   []string
		indent   string
		line     int
		several  bool // lines
		midwords bool // one of its controls has words on both sides
	}
	var open []*group
	alone := map[string]string{}
	for i, line := range lines {
		indent, head, rest, tail := t.edges(line)
		edge := map[string]bool{}
		for _, token := range append(head, tail...) {
			edge[token] = true
		}
		for _, token := range t.form.FindAllString(line, -1) {
			keyword := t.keyword(token)
			switch keyword {
			case "if", "range", "with":
				// A row of a table is one line: its controls stand above and below.
				open = append(open, &group{line: i, indent: further(indent), several: strings.HasPrefix(strings.TrimSpace(rest), "|")})
			case "else", "end":
			default:
				continue
			}
			g := open[len(open)-1] // the vetter has seen that they match
			g.tokens = append(g.tokens, token)
			g.several = g.several || g.line != i
			g.midwords = g.midwords || !edge[token]
			if keyword != "end" {
				continue
			}
			open = open[:len(open)-1]
			if g.several && !g.midwords {
				for _, token := range g.tokens {
					alone[token] = g.indent
				}
			}
		}
	}
	return alone
}

var (
	indentation = regexp.MustCompile(`^[ \t>]*(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]+)?`)
	bullet      = regexp.MustCompile(`[^ \t>]+`)
)

// edges cuts a line into the controls that it begins with and ends in, and the rest.
func (t *tokens) edges(line string) (indent string, head []string, rest string, tail []string) {
	indent = indentation.FindString(line)
	rest = line[len(indent):]
	all := t.form.FindAllStringIndex(rest, -1)
	control := func(at []int) bool { return t.keyword(rest[at[0]:at[1]]) != "" }
	from, to := 0, len(rest)
	for len(all) > 0 && control(all[0]) && strings.TrimSpace(rest[from:all[0][0]]) == "" {
		head = append(head, rest[all[0][0]:all[0][1]])
		from, all = all[0][1], all[1:]
	}
	n := len(all)
	for n > 0 && control(all[n-1]) && strings.TrimSpace(rest[all[n-1][1]:to]) == "" {
		n--
		to = all[n][0]
	}
	for _, at := range all[n:] {
		tail = append(tail, rest[at[0]:at[1]])
	}
	return indent, head, rest[from:to], tail
}
