package notice

// Filter is a condition over customers: a tree that package audience parses and package ledger turns into SQL.
// The zero Filter holds for every customer.
type Filter struct {
	Op    FilterOp
	Args  []Filter // of And, Or (two or more) and Not (one)
	Field string   // of comparisons: id, name, language or time_zone; or an attribute's name
	// Attribute says that Field names an attribute rather than one of the four columns.
	Attribute bool
	Value     string
	Values    []string // of In, one or more
	Number    bool     // Value and Values are numbers and compared as such; customers with a value that is none match only !=
}

// FilterRules is a version of the rules by which a filter's text is read. A filter that is kept is read by those of
// its time for ever.
type FilterRules int

// The versions of the rules.
const (
	FilterLiteral  FilterRules = 1 // = and != compare letter by letter; texts of digits have an order
	FilterPatterns FilterRules = 2 // * in a text is any text, a language is a range (RFC 4647); IN, ==
)

// FilterOp is the operator at a node of a Filter.
type FilterOp string

// The operators. In a text that Eq, Ne and In compare with, "*" stands for any text. A language there stands for its
// regions too (RFC 4647 §3.3.1). Exact compares letter by letter. Has ("attribute:*" or "attribute:word") tests presence
// or containment.
const (
	FilterAll FilterOp = ""
	FilterAnd FilterOp = "AND"
	FilterOr  FilterOp = "OR"
	FilterNot FilterOp = "NOT"
	FilterEq  FilterOp = "="
	FilterNe  FilterOp = "!="
	FilterIn  FilterOp = "IN"
	FilterLt  FilterOp = "<"
	FilterLe  FilterOp = "<="
	FilterGt  FilterOp = ">"
	FilterGe  FilterOp = ">="
	FilterHas FilterOp = ":"

	FilterExact FilterOp = "=="
)

// Attributes returns the names of the attributes that the filter mentions, each once, in order.
func (f Filter) Attributes() []string {
	var names []string
	seen := map[string]bool{}
	var walk func(Filter)
	walk = func(f Filter) {
		if f.Attribute && !seen[f.Field] {
			seen[f.Field] = true
			names = append(names, f.Field)
		}
		for _, a := range f.Args {
			walk(a)
		}
	}
	walk(f)
	return names
}
