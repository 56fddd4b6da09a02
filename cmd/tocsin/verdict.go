package main

import (
	"fmt"
	"io"
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

// judged returns the error with which the wait for a notice ends; it names the next command. The error is nil where
// nothing waits for a person, and no more than the tolerated share of the mails has failed.
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

// outcome sums up a notice in numbers.
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
	b := st.Brake()
	if b == nil {
		return ""
	}
	switch b.Why {
	case notice.BrakePaused:
		return "it is paused; go on with: tocsin notice resume " + st.Key
	case notice.BrakeHeld:
		if braked(st) {
			return "it is held, since a relay refuses everybody; go on with: tocsin notice resume " + st.Key
		}
		if st.AtCanary() {
			return "it is held after its canary; go on with: tocsin notice resume " + st.Key
		}
		return "it is held: " + shown(st.Reason)
	case notice.BrakeScheduled:
		return "it goes out at " + when(st.SendAt)
	case notice.BrakeDisagree:
		return "no worker sends, since their settings only_to differ: " + shown(st.Disagree)
	case notice.BrakeNoWorker:
		return "no worker is alive; start one with: tocsin work"
	case notice.BrakeSilent:
		return shown(fmt.Sprintf("relay %s takes mails and does not answer; %s", b.Relay, b.Error))
	case notice.BrakeUnreachable:
		return "no relay can be reached; the last error is of " + shown(b.Relay+": "+b.Error)
	case notice.BrakeQuota:
		return "relay " + shown(b.Relay) + " has taken " + quotaOf(*b.Quota)
	case notice.BrakeRest:
		return fmt.Sprintf("relay %s is %s; go on with: tocsin relay resume %[1]s", shown(b.Rest.Relay), restOf(*b.Rest))
	case notice.BrakeDeferred:
		return fmt.Sprintf("the relays put off %s, which are tried again; see: tocsin report %s --state deferred", many(b.Deferred, "mail"), st.Key)
	case notice.BrakeLimits:
		return "limited to " + limits(b.Limited)
	}
	return fmt.Sprintf("%s is limited to %s mails/s, since it asked for fewer", throttled(*b.Throttled), perSecond(b.Throttled.RatePerS))
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
