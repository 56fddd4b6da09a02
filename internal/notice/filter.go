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
	Number    bool // Value is a number and is compared as one; customers whose value is none match only !=
}

// FilterOp is the operator at a node of a Filter.
type FilterOp string

// The operators. Has ("attribute:*" or "attribute:word") tests presence or containment.
const (
	FilterAll FilterOp = ""
	FilterAnd FilterOp = "AND"
	FilterOr  FilterOp = "OR"
	FilterNot FilterOp = "NOT"
	FilterEq  FilterOp = "="
	FilterNe  FilterOp = "!="
	FilterLt  FilterOp = "<"
	FilterLe  FilterOp = "<="
	FilterGt  FilterOp = ">"
	FilterGe  FilterOp = ">="
	FilterHas FilterOp = ":"
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
