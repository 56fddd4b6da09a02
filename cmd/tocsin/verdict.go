package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// percent is a share in hundredths, written as 5 or 5%.
type percent float64

// UnmarshalText reads a share of 0 to 100.
func (p *percent) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "%"), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return fmt.Errorf("%q is not a share such as 5%%", text)
	}
	*p = percent(n)
	return nil
}

// toMail is how many recipients of a notice are not suppressed.
func toMail(st notice.Status) int {
	return st.Recipients - st.Counts[notice.DeliverySuppressed.String()]
}

// delivered is how many mails a relay took, those that were returned later included.
func delivered(st notice.Status) int {
	return st.Counts[notice.DeliverySent.String()] + st.Counts[notice.DeliveryBounced.String()]
}

// judged is the error with which the wait for a notice ends, nil where it went well: of those to be mailed, no more than
// the tolerated share has failed, and nothing waits for a person. It names the next command.
func judged(st notice.Status, tolerate percent) error {
	if err := stopped(st); err != nil {
		return err
	}
	failed, uncertain := st.Counts[notice.DeliveryFailed.String()], st.Counts[notice.DeliveryUncertain.String()]
	switch {
	case st.RowsDroppedAt != nil:
		return nil
	case uncertain > 0:
		return fmt.Errorf("%s of %s may have arrived or not: look for them with: tocsin notice reconcile %[2]s --maillog FILE\n"+
			"or decide about them with: tocsin notice settle %[2]s --sent|--requeue --all-uncertain", many(uncertain, "mail"), st.Key)
	case toMail(st) <= 0:
		return fmt.Errorf("nobody on the audience of %s could be mailed; see: tocsin report %[1]s --state suppressed", st.Key)
	case delivered(st) == 0 && failed == 0:
		return fmt.Errorf("nothing of %s was sent; see: tocsin report %[1]s", st.Key)
	case delivered(st) == 0, float64(failed)*100 > float64(tolerate)*float64(toMail(st)):
		return fmt.Errorf("%s of %s mails of %s failed; see: tocsin report %[3]s --state failed", count(failed), count(toMail(st)), st.Key)
	}
	return nil
}

// printOutcome prints a line with the result of a notice that has ended and, where mails failed, the next command.
func printOutcome(w io.Writer, st notice.Status) {
	fmt.Fprintln(w)
	sentence(w, "%s", outcome(st))
	if st.Counts[notice.DeliveryFailed.String()] > 0 {
		fmt.Fprintf(w, "See who was not reached:\n  tocsin report %s --state failed\n", st.Key)
	}
}

// outcome is what has become of a notice, in numbers.
func outcome(st notice.Status) string {
	words := []string{count(delivered(st)) + " sent"}
	for _, c := range []struct {
		n    int
		what string
	}{
		{st.Counts[notice.DeliveryFailed.String()], "failed"},
		{st.Counts[notice.DeliveryUncertain.String()], "may have arrived or not"},
		{st.Counts[notice.DeliveryCancelled.String()], "cancelled"},
		{st.Counts[notice.DeliverySuppressed.String()], "could not be reached"},
	} {
		if c.n > 0 {
			words = append(words, count(c.n)+" "+c.what)
		}
	}
	return strings.Join(words, ", ")
}

// standstill says why nothing of a notice leaves now, "" where nothing is known to keep it.
func standstill(st notice.Status) string {
	switch st.State {
	case notice.Paused:
		return "it is paused; go on with: tocsin notice resume " + st.Key
	case notice.Held:
		if braked(st) {
			return "it is held, since a relay refuses everybody; go on with: tocsin notice resume " + st.Key
		}
		return "it is held: " + shown(st.Reason)
	case notice.Scheduled:
		return "it goes out at " + when(st.SendAt)
	case notice.Sending:
	default:
		return ""
	}
	if st.Disagree != "" {
		return "no worker sends, since their settings only_to differ: " + shown(st.Disagree)
	}
	if st.Pace == nil {
		return ""
	}
	if st.Pace.Unheard {
		return ""
	}
	if st.Pace.Workers == 0 {
		return "no worker is alive; start one with: tocsin work"
	}
	up, silent, why, rest := 0, "", "", (*notice.Rest)(nil)
	for _, r := range st.Pace.Relays {
		switch {
		case r.Rest != nil:
			rest = r.Rest
		case r.State == notice.RelaySilent:
			silent = fmt.Sprintf("relay %s takes mails and does not answer; %s", r.Relay, r.Error)
		case r.State == notice.RelayUsedUp || r.State == notice.RelayUp && isUsedUp(st.Pace, r.Relay):
		case r.State == notice.RelayUp:
			up++
		default:
			why = fmt.Sprintf("%s: %s", r.Relay, r.Error)
		}
	}
	quota := firstRoom(st.Pace)
	waiting := st.Counts[notice.DeliveryQueued.String()] + st.Counts[notice.DeliverySending.String()]
	switch {
	case up == 0 && silent != "":
		return shown(silent)
	case up == 0 && why != "":
		return "no relay can be reached; the last error is of " + shown(why)
	case up == 0 && rest == nil && quota != nil:
		return "relay " + shown(quota.Relay) + " has taken " + quotaOf(*quota)
	case up == 0 && rest != nil:
		return fmt.Sprintf("relay %s is %s; go on with: tocsin relay resume %[1]s", shown(rest.Relay), restOf(*rest))
	case waiting == 0 && st.Counts[notice.DeliveryDeferred.String()] > 0:
		return fmt.Sprintf("the relays put off %s, which are tried again; see: tocsin report %s --state deferred",
			many(st.Counts[notice.DeliveryDeferred.String()], "mail"), st.Key)
	case len(st.Pace.Limited) > 0:
		return "limited to " + limits(st.Pace.Limited)
	case len(st.Pace.Throttled) > 0:
		t := st.Pace.Throttled[0]
		return fmt.Sprintf("%s is limited to %s mails/s, since it asked for fewer", throttled(t), perSecond(t.RatePerS))
	}
	return ""
}

// isUsedUp reports whether all of a relay's quota was taken, by the ledger: a worker learns it when it wants some.
func isUsedUp(p *notice.Pace, relay string) bool {
	return slices.ContainsFunc(p.Quotas, func(q notice.Quota) bool { return q.Relay == relay && q.Until != nil })
}

// firstRoom is the quota that has room again soonest, of those that are used up.
func firstRoom(p *notice.Pace) (first *notice.Quota) {
	for _, q := range p.Quotas {
		if q.Until != nil && (first == nil || q.Until.Before(*first.Until)) {
			first = &q
		}
	}
	return first
}

// limits says which configured limits hold mails up: "200/s by relay main's rate".
func limits(all []notice.Limited) string {
	var words []string
	for _, l := range all {
		switch {
		case l.Relay != "":
			words = append(words, fmt.Sprintf("%s by relay %s's rate", ratePer(l.RatePerS), shown(l.Relay)))
		case l.Connections > 0:
			words = append(words, fmt.Sprintf("%s at once to %s, by its connections", count(l.Connections), shown(l.Domain)))
		default:
			words = append(words, fmt.Sprintf("%s to %s, by its rate", ratePer(l.RatePerS), shown(l.Domain)))
		}
	}
	return strings.Join(words, "; ")
}

// ratePer writes a configured rate: 5,000/h.
func ratePer(perSecond float64) string {
	text := notice.Rate(perSecond).String()
	n, unit, _ := strings.Cut(text, "/")
	whole, err := strconv.Atoi(n)
	if err != nil {
		return text
	}
	return count(whole) + "/" + unit
}
