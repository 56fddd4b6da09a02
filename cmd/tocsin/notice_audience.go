package main

import (
	"strings"

	"tocsin/internal/notice"
)

// audienceOf says in words who is to be told by a notice.
func audienceOf(b notice.Body, filter string) string {
	if b.Amends != "" {
		return "the mailboxes of " + b.Amends
	}
	return whom(b.Audience, filter)
}

// whom describes an audience in words; filter is in its parenthesised form.
func whom(a notice.Audience, filter string) string {
	var source string
	switch {
	case a.Customers != nil:
		source = "the list of " + many(len(a.Customers), "customer")
	case a.Notice != "" && a.IncludeNew:
		source = "who stood on " + a.Notice + inStates(a.State) + ", and who has come to its audience since"
	case a.Notice != "":
		source = "who stood on " + a.Notice + inStates(a.State)
	case filter == "":
		return "every customer"
	default:
		return filter
	}
	if filter != "" {
		source += ", of them " + filter
	}
	if a.Contact == notice.Alternate {
		source += ", at their alternate addresses"
	}
	return source
}

func inStates(states []notice.DeliveryState) string {
	if len(states) == 0 {
		return ""
	}
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = s.String()
	}
	return " and is " + strings.Join(names, " or ")
}
