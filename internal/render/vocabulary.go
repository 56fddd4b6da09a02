package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kind is the type of an expression.
type kind int

const (
	kindText kind = iota
	kindNumber
	kindBool
	kindMoment
	kindWindow
	kindWindows
	kindCustomer
	kindCustomers
	kindAttributes
	kindParameters
	kindNotice
	kindIncident
	kindRoot
)

var kindNames = [...]string{"text", "a number", "a condition", "a time", "a window", "the list of windows", "a customer",
	"the list of customers", "the attributes", "the parameters", "the notice", "the incident", "a text"}

var fields = map[kind]map[string]kind{
	kindRoot: {"Customer": kindCustomer, "Customers": kindCustomers, "Parameters": kindParameters, "Windows": kindWindows, "Was": kindWindows,
		"Notice": kindNotice, "Incident": kindIncident, "Language": kindText},
	kindCustomer: {"Name": kindText, "ID": kindText, "Attributes": kindAttributes},
	kindWindow:   {"Start": kindMoment, "End": kindMoment},
	kindNotice:   {"Key": kindText, "Phase": kindText, "Severity": kindText, "Kind": kindText},
	kindIncident: {"Key": kindText},
}

var scalars = []kind{kindText, kindNumber, kindBool}

// function is a function that a text may call.
type function struct {
	least, most int    // arguments
	takes       []kind // of every argument; nil = any
	compares    bool   // all arguments are of one kind, or text and numbers
	result      func(args []kind) kind
	reader      bool // it formats for a reader; the arguments after the first are text, other than of list
}

// argument returns the kinds that argument i may have; nil = any.
func (f function) argument(i int) []kind {
	if f.reader && i > 0 && f.most < maxArguments {
		return scalars[:1]
	}
	return f.takes
}

// maxArguments is the most that a function takes that takes any number of them.
const maxArguments = 100

func always(k kind) func([]kind) kind { return func([]kind) kind { return k } }

func common(args []kind) kind {
	for _, k := range args {
		if k != args[0] {
			return kindBool // nothing but a condition can be made of a mixture
		}
	}
	return args[0]
}

var functions = map[string]function{
	"eq":       {2, maxArguments, scalars, true, always(kindBool), false},
	"ne":       {2, 2, scalars, true, always(kindBool), false},
	"lt":       {2, 2, scalars[:2], true, always(kindBool), false},
	"le":       {2, 2, scalars[:2], true, always(kindBool), false},
	"gt":       {2, 2, scalars[:2], true, always(kindBool), false},
	"ge":       {2, 2, scalars[:2], true, always(kindBool), false},
	"and":      {1, maxArguments, nil, false, common, false},
	"or":       {1, maxArguments, nil, false, common, false},
	"not":      {1, 1, nil, false, always(kindBool), false},
	"len":      {1, 1, []kind{kindText, kindCustomers, kindWindows}, false, always(kindNumber), false},
	"default":  {2, 2, scalars[:2], false, func(a []kind) kind { return min(a[0], a[1]) }, false},
	"number":   {1, 1, scalars[:2], false, always(kindText), true},
	"date":     {1, 1, []kind{kindText, kindMoment}, false, always(kindText), true},
	"percent":  {1, 1, scalars[:2], false, always(kindText), true},
	"money":    {2, 2, scalars[:2], false, always(kindText), true},
	"duration": {1, 1, []kind{kindText, kindWindow}, false, always(kindText), true},
	"list":     {1, maxArguments, []kind{kindText, kindCustomers}, false, always(kindText), true},
	"plural":   {3, 1 + 2*6, scalars[:2], false, always(kindText), true},
}

func arguments(f function) string {
	switch {
	case f.least == f.most && f.least == 1:
		return "1 argument"
	case f.least == f.most:
		return fmt.Sprintf("%d arguments", f.least)
	}
	if f.least == 1 {
		return "1 argument or more"
	}
	return fmt.Sprintf("%d arguments or more", f.least)
}

func members(k kind) string {
	if len(fields[k]) == 0 {
		return kindNames[k] + " has no fields"
	}
	names := slices.Sorted(maps.Keys(fields[k]))
	return kindNames[k] + " has ." + strings.Join(names, ", .")
}
