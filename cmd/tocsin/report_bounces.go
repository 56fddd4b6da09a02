package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// printBounces adds rows to a table: how many mails came back, and why.
func printBounces(t *grid, b notice.Bounces) {
	if b.Bounced+b.Complaints == 0 {
		return
	}
	fmt.Fprintf(t, "Came back\t%s (%.1f %%)\n", count(b.Bounced), b.Percent)
	tally(t, came(b.ByClass))
	if b.Complaints > 0 {
		fmt.Fprintf(t, "Complaints\t%s\n", count(b.Complaints))
	}
	if len(b.PolicyDomains) > 0 {
		fmt.Fprintf(t, "Refused by policy\t%s\n", refusingDomains(b.PolicyDomains))
	}
}

// came leaves out the classes without mails.
func came(byClass map[string]int) map[string]int {
	some := maps.Clone(byClass)
	maps.DeleteFunc(some, func(_ string, n int) bool { return n == 0 })
	return some
}

// refusingDomains names domains that refuse too many mails.
func refusingDomains(domains []string) string {
	const most = 10
	text := "more than 5 % of the mails to " + strings.Join(domains[:min(most, len(domains))], ", ")
	if more := len(domains) - most; more > 0 {
		text += " and " + many(more, "other domain")
	}
	return text
}

// reportBounces writes how many mails came back, of which class and from which domains.
func reportBounces(w io.Writer, b notice.Bounces) error {
	if b.Bounced+b.Complaints == 0 {
		return nil
	}
	fmt.Fprintln(w)
	sentence(w, "Came back: %s (%.1f %%)%s. Complaints: %s.", count(b.Bounced), b.Percent, inClasses(b.ByClass), count(b.Complaints))
	if len(b.PolicyDomains) > 0 {
		sentence(w, "Refused by policy: %s. Its servers say why below; nobody is suppressed for it.", refusingDomains(b.PolicyDomains))
	}
	if len(b.ByDomain) == 0 {
		return nil
	}
	const most = 10
	t := table(w)
	fmt.Fprintln(t, "DOMAIN\tMAILS\tCAME BACK\tCOMPLAINTS\tCLASSES")
	for _, d := range b.ByDomain[:min(most, len(b.ByDomain))] {
		name, of := shown(d.Domain), count(d.Mails)
		if d.Domain == "" {
			name, of = "(erased)", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", name, of, count(d.Bounced), count(d.Complaints), strings.TrimPrefix(inClasses(d.ByClass), ": "))
	}
	if more := len(b.ByDomain) + b.MoreDomains - most; more > 0 {
		fmt.Fprintf(t, "… and %s\t\t\t\t\n", many(more, "other domain"))
	}
	return t.Flush()
}

// inClasses lists how many mails came back of each class, the most first.
func inClasses(byClass map[string]int) string {
	some := came(byClass)
	names := slices.SortedStableFunc(maps.Keys(some), func(a, b string) int {
		if some[a] != some[b] {
			return some[b] - some[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = count(some[name]) + " " + name
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}
