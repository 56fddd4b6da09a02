package render

import "slices"

// node is literal text or an action, with the nodes that a control governs.
type node struct {
	literal     string
	action      *action
	body, other []node
}

// action is one {{…}} after vetting.
type action struct {
	keyword string // if, range, with, else, end; set for an assignment; "" for one that prints
	expr    *expr
	kind    kind
	slots   []int // of the variables that it sets
	at      *site
	line    int
	branch  int // the number of its branch in the program's, and 1 more; 0 = it is not counted
	other   int // and of its else
}

// build nests flat nodes: each control gets the nodes that it governs.
func build(flat []node) []node {
	nodes, _ := nest(flat)
	return nodes
}

func nest(flat []node) (nodes, rest []node) {
	for len(flat) > 0 {
		n := flat[0]
		flat = flat[1:]
		if a := n.action; a != nil {
			switch a.keyword {
			case "else", "end":
				return nodes, append([]node{n}, flat...)
			case "if", "with", "range":
				n.body, flat = nest(flat)
				if flat[0].action.keyword == "else" {
					n.other, flat = nest(flat[1:])
				}
				flat = flat[1:]
			}
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// decides reports whether recipients may differ in a decision of nodes.
func decides(nodes []node) bool {
	return slices.ContainsFunc(nodes, func(n node) bool {
		return n.action != nil && n.action.keyword != "" && n.action.keyword != "set" && n.action.expr.personal() ||
			decides(n.body) || decides(n.other)
	})
}

// decisions returns nodes without all that decides nothing.
func decisions(nodes []node) (kept []node) {
	for _, n := range nodes {
		switch {
		case n.action == nil || n.action.keyword == "":
			continue
		case n.action.keyword != "set":
			n.body, n.other = decisions(n.body), decisions(n.other)
			if !n.action.expr.personal() && len(n.action.slots)+len(n.body)+len(n.other) == 0 {
				continue
			}
		}
		kept = append(kept, n)
	}
	return kept
}
