package main

import (
	"fmt"
	"io"
	"strings"

	"tocsin/internal/notice"
)

// printCanary explains the decision about a notice that is held after its canary. It prints nothing for other notices.
func printCanary(w io.Writer, st notice.Status) {
	if !st.AtCanary() {
		return
	}
	fmt.Fprintf(w, "The canary of this notice is over, and all other mails wait. Look at its mails:\n  tocsin report %[1]s\n"+
		"Then go on with the rest, or stop for good:\n  tocsin notice resume %[1]s\n  tocsin notice cancel %[1]s\n", st.Key)
	if notice.StoppedCanary(st.Reason) {
		fmt.Fprint(w, "It was stopped since too many were not taken. A resume sends again those that failed;\nwith --leave-failed they stay failed.\n")
	}
	fmt.Fprintln(w)
}

// canary counts the mails of a canary by state: "200 mailboxes first: 198 sent, 2 deferred; all others wait".
func canary(c notice.Canary) string {
	var words []string
	for _, s := range notice.DeliveryStates {
		if n := c.Counts[s.String()]; n > 0 {
			words = append(words, count(n)+" "+s.String())
		}
	}
	text := mailboxCount(c.Mailboxes) + " first"
	if len(words) > 0 {
		text += ": " + strings.Join(words, ", ")
	}
	if c.Waits {
		text += "; all others wait"
	}
	return text
}

// firstTo says of a release how many mailboxes it goes to first.
func firstTo(mailboxes int) string {
	if mailboxes == 0 {
		return ""
	}
	return ", first to " + mailboxCount(mailboxes)
}

// trialOf says in a list how many mailboxes of its canary have the mail while the rest waits; "-" where nothing waits.
func trialOf(st notice.Status) string {
	if st.Canary == nil || !st.Canary.Waits {
		return "-"
	}
	return count(st.Canary.Counts[notice.DeliverySent.String()]) + "/" + count(st.Canary.Mailboxes)
}

func mailboxCount(n int) string {
	if n == 1 {
		return "1 mailbox"
	}
	return count(n) + " mailboxes"
}

// canarySize is how many mailboxes a notice goes to first.
func canarySize(st notice.Status) int {
	if st.Canary == nil {
		return 0
	}
	return st.Canary.Mailboxes
}
