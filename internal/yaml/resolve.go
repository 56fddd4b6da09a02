package yaml

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// mostValues bounds how many values the aliases of a file stand for, each counted as often as it is named.
const mostValues = 10_000

// tags are the types that a value may be said to be of: those that its text shows as it is.
var tags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge", "!!seq", "!!map"}

// resolver puts the values that aliases name in their place.
type resolver struct {
	of     Value
	within map[*yaml.Node]bool // the anchors around the node under way
	left   int                 // how many more values aliases may stand for
}

// resolve replaces the aliases of the document, and refuses those that nest in themselves or multiply beyond measure.
func (v *Value) resolve() (err error) {
	r := resolver{of: *v, within: map[*yaml.Node]bool{}, left: mostValues}
	v.node, err = r.node(v.node, false)
	return err
}

// node returns the node itself, or the one that an alias stands for. Aliased says that an alias led to it.
func (r *resolver) node(n *yaml.Node, aliased bool) (*yaml.Node, error) {
	at := n
	if n.Kind == yaml.AliasNode {
		n, aliased = n.Alias, true
	}
	if r.within[n] {
		return nil, r.of.at(at, "the alias *%s stands within the value that it names", at.Value)
	}
	if aliased {
		r.left--
	}
	if r.left < 0 {
		return nil, r.of.at(at, "the aliases of this file stand for more than %d values: write out those that are needed", mostValues)
	}
	if n.Style&yaml.TaggedStyle != 0 && !slices.Contains(tags, n.Tag) {
		return nil, r.of.at(n, "the tag %s is not known here: write the value alone", n.Tag)
	}
	r.within[n] = true
	defer delete(r.within, n)
	for i, inner := range n.Content {
		var err error
		if n.Content[i], err = r.node(inner, aliased); err != nil {
			return nil, err
		}
	}
	return n, nil
}
