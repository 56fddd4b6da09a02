package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// counted is a row of counts by state.
type counted struct {
	name   string
	counts map[string]int
}

// printCounts writes the counts of the mails of a notice, or of an incident's notices, per language and state. It adds
// the reasons of the mails that were not simply sent.
func printCounts(w io.Writer, r notice.Report) error {
	var languages []counted
	for _, language := range slices.Sorted(maps.Keys(r.ByLanguage)) {
		languages = append(languages, counted{orNone(language), r.ByLanguage[language]})
	}
	printStates(w, "language", languages)
	printReach(w, r)
	if len(r.Fallback)+len(r.LaterChoice) > 0 {
		fmt.Fprintln(w)
		t := table(w)
		printFallback(t, r.Fallback, r.LaterChoice)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if err := reportBounces(w, r.Bounces); err != nil {
		return err
	}
	return printOutcomes(w, r.Outcomes)
}

// lines sets the audience of a report out in lines that fit a terminal.
var lines = strings.NewReplacer("audience: {", "audience:\n  ", ", state:", "\n  state:", "]}", "]")

// printReach says how many were reached, and how a next notice goes to the others.
func printReach(w io.Writer, r notice.Report) {
	all, reach := r.Recipients, r.Reach
	if all == 0 {
		return
	}
	fmt.Fprintln(w)
	sentence(w, "Reached: %s of %s (%.1f %%); not reached: %s; unknown: %s; still open: %s. As of %s.", count(reach.Reached), count(all), reach.Percent,
		count(reach.NotReached), count(reach.Unknown), count(reach.Open), when(&r.AsOf))
	if r.NotReached != "" {
		fmt.Fprintf(w, "A next notice goes to those not reached by these lines of its notice.yaml:\n%s\n", lines.Replace(r.NotReached))
	}
}

// printStates writes rows of counts and their sums; a state without mails has no column.
func printStates(w io.Writer, head string, rows []counted) {
	if len(rows) == 0 {
		return
	}
	all := counted{"all", map[string]int{}}
	width := len(head)
	for _, row := range rows {
		width = max(width, len(row.name))
		for state, n := range row.counts {
			all.counts[state] += n
		}
	}
	var states []string
	for _, state := range notice.DeliveryStates {
		if all.counts[state.String()] > 0 {
			states = append(states, state.String())
		}
	}
	line := func(name string, cell func(state string) string, sum string) {
		text := fmt.Sprintf("%-*s", width, name)
		for _, state := range append(slices.Clone(states), "") {
			content := sum
			if state != "" {
				content = cell(state)
			}
			text += fmt.Sprintf(" %*s", max(len(state), len(count(all.counts[state])), 7), content)
		}
		fmt.Fprintln(w, strings.TrimRight(text, " "))
	}
	line(head, func(state string) string { return state }, "all")
	for _, row := range append(rows, all) {
		sum := 0
		for _, n := range row.counts {
			sum += n
		}
		line(row.name, func(state string) string { return count(row.counts[state]) }, count(sum))
	}
}

// printOutcomes says why some got no mail, and which mails took more than one attempt.
func printOutcomes(w io.Writer, outcomes []notice.Outcomes) error {
	if len(outcomes) == 0 {
		return nil
	}
	const most = 20
	fmt.Fprintln(w)
	t := table(w)
	for _, o := range outcomes[:min(most, len(outcomes))] {
		fmt.Fprintf(t, "%s\t%7s\t%s\n", o.State, count(o.Count), outcomeInWords(o))
	}
	if more := len(outcomes) - most; more > 0 {
		fmt.Fprintf(t, "… and %s\t\t\n", many(more, "other reason"))
	}
	return t.Flush()
}

func outcomeInWords(o notice.Outcomes) string {
	switch o.Reason {
	case notice.ReasonRetried:
		return "after a 4xx or a lost connection, at a later attempt"
	case notice.ReasonNoAddress:
		return "no_address: the customer has no mailbox"
	case notice.ReasonUnreachable:
		return "unreachable: on the broken platform, and no alternate"
	case notice.ReasonOnlyTo:
		return "only_to: the workers were set up to send to others alone"
	}
	return answer(notice.Delivery{Reason: o.Reason, Relay: o.Relay, SMTPCode: o.SMTPCode, Enhanced: o.Enhanced, SMTPText: o.SMTPText})
}
