package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// printPlan writes the dry run.
func printPlan(w io.Writer, dir string, body notice.Body, p notice.Plan) error {
	mails := mailed(p)
	t := table(w)
	fmt.Fprintf(t, "Notice\t%s\nKind\t%s\n", shown(body.Key), sort(body.Kind, body.Phase))
	printEnvelope(t, body, p)
	fmt.Fprintf(t, "Audience\t%s\n", brief(shown(audienceOf(body, p.Filter))))
	printAmending(t, p.Amends)
	fmt.Fprintf(t, "Customers\t%s\n", count(p.Customers))
	if len(p.Excluded) > 0 {
		fmt.Fprintln(t, "Left out\t")
		tally(t, p.Excluded)
	}
	fmt.Fprintf(t, "Recipients\t%s\n", count(p.Recipients))
	fmt.Fprintf(t, "To be mailed\t%s\n", count(mails))
	tally(t, p.ByLanguage)
	if p.Newcomers > 0 {
		fmt.Fprintf(t, "  as a first announcement\t%s: newcomers, to whom no mail with the old time went\n", count(p.Newcomers))
	}
	if p.OwedOld > 0 {
		fmt.Fprintf(t, "  perhaps as one\t%s: an earlier notice still owes them the old time; they are newcomers unless that leaves before this notice begins\n", count(p.OwedOld))
	}
	printRestriction(t, p.OnlyTo)
	printUnfit(t, p.Unfit)
	printPlaces(t, p)
	printForecast(t, p.Forecast)
	if domains := slices.Concat(body.BrokenDomains, body.Broken.Domains); len(domains) > 0 {
		fmt.Fprintf(t, "Mailboxes down\tat %s\n", shown(strings.Join(domains, ", ")))
	}
	if body.Broken.Filter != "" {
		fmt.Fprintf(t, "Mailboxes down\tof %s\n", brief(shown(body.Broken.Filter)))
	}
	if p.Alternates > 0 {
		fmt.Fprintf(t, "  at an alternate address\t%s\n", count(p.Alternates))
	}
	if p.Recipients > mails {
		fmt.Fprintf(t, "Suppressed\t%s\n", count(p.Recipients-mails))
		tally(t, p.Suppressed)
	}
	for _, bad := range p.Refused {
		fmt.Fprintf(t, "Address refused\tcustomer %s: %s\n", shown(bad.Subject), shown(bad.Reason))
	}
	printReminders(t, p.Reminders)
	for _, hint := range p.Hints {
		fmt.Fprintf(t, "Look again\t%s\n", shown(hint))
	}
	printDifference(t, p.Previous)
	printLanguages(t, p)
	printFallback(t, p.Fallback, p.LaterChoice)
	if err := t.Flush(); err != nil {
		return err
	}
	if err := printBranches(w, dir, p); err != nil || p.HoleCount == 0 {
		return err
	}
	fmt.Fprintf(w, "\n%s would get a mail with an empty field:\n", many(p.HoleCount, "recipient"))
	fmt.Fprintln(t, "CUSTOMER\tLANGUAGE\tPLACE\tWHAT")
	for _, h := range p.Holes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", shown(h.Customer), h.Language, directory.Place(dir, h.Place), shown(h.Reason))
	}
	if more := p.HoleCount - len(p.Holes); more > 0 {
		fmt.Fprintf(t, "… and %s more\t\t\t\n", count(more))
	}
	return t.Flush()
}

// placesShown is how many zones and domains the display of a plan has; its JSON has more.
const placesShown = 10

// printPlaces says to which domains the mails go, and in which zones their readers are, where there are several.
func printPlaces(w io.Writer, p notice.Plan) {
	if len(p.ByDomain) > 1 {
		fmt.Fprintln(w, "By domain\t")
		rest := 0
		for i, d := range p.ByDomain {
			if i >= placesShown || d.Domain == "" {
				rest += d.Recipients
				continue
			}
			fmt.Fprintf(w, "  %s\t%s\n", shown(d.Domain), count(d.Recipients))
		}
		if rest > 0 {
			fmt.Fprintf(w, "  others\t%s\n", count(rest))
		}
	}
	if len(p.ByZone) > 1 {
		fmt.Fprintln(w, "By time zone\t")
		rest := 0
		for i, zone := range largest(p.ByZone) {
			if i >= placesShown {
				rest += p.ByZone[zone]
				continue
			}
			fmt.Fprintf(w, "  %s\t%s\n", shown(cmp.Or(zone, "the notice's")), count(p.ByZone[zone]))
		}
		if rest > 0 {
			fmt.Fprintf(w, "  others\t%s\n", count(rest))
		}
	}
}

// largest are the names with the highest counts first.
func largest(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
}

// printForecast says when the mails leave at the limits of this moment.
func printForecast(w io.Writer, f *notice.Forecast) {
	switch {
	case f == nil:
	case f.Why == notice.ForecastNoWorker:
		fmt.Fprintln(w, "Forecast\tnothing leaves: no worker is alive")
	case f.Last == nil:
		fmt.Fprintln(w, "Forecast\tnothing leaves until the hold is removed")
	default:
		by := map[string]string{notice.ForecastWorkers: "as fast as the workers are reckoned", notice.ForecastRelays: "at the rates of the relays",
			notice.ForecastDomain: "at the limit of " + shown(f.Domain), notice.ForecastQuota: "by the quotas of the relays"}[f.Why]
		fmt.Fprintf(w, "Forecast\tthe last mail leaves at %s, %s\n", when(f.Last), by)
	}
}

// printFallback says how many get the text of another language than the first that they want.
func printFallback(w io.Writer, fallback, later map[string]int) {
	if len(later) > 0 {
		fmt.Fprintln(w, "Text of a later choice for\t")
		tally(w, later)
	}
	if len(fallback) == 0 {
		return
	}
	fmt.Fprintln(w, "Default language for\t")
	wanted := maps.Clone(fallback)
	if n, ok := wanted[""]; ok {
		delete(wanted, "")
		wanted["none known"] = n
	}
	tally(w, wanted)
}

// printLanguages says which languages have a paragraph in another one, and which ready texts are drafts.
func printLanguages(w io.Writer, p notice.Plan) {
	for _, in := range slices.Sorted(maps.Keys(p.Foreign)) {
		readers := p.Foreign[in]
		fmt.Fprintf(w, "Details\t%s will read this paragraph in %s: %s\n", many(len(readers), "language"), languageName(in), strings.Join(readers, ", "))
	}
	if len(p.Drafts) > 0 {
		fmt.Fprintf(w, "Drafts\tno native reader has signed these ready texts: %s\n", strings.Join(p.Drafts, ", "))
	}
}

// languageName returns the English name of a language, such as Dutch.
func languageName(key string) string {
	return cmp.Or(display.English.Tags().Name(language.Make(key)), key)
}

// printRestriction says how many recipients of a plan the workers would leave out.
func printRestriction(w io.Writer, r *notice.Restriction) {
	if r == nil {
		return
	}
	if len(r.OnlyTo) > 0 {
		fmt.Fprintf(w, "Only to\t%s\n  of them to be mailed\t%s\n  to end suppressed (only_to)\t%s\n", shown(strings.Join(r.OnlyTo, ", ")), count(r.Mailed), count(r.Suppressed))
	}
	if r.Disagree != "" {
		fmt.Fprintf(w, "Nothing leaves\tsince the settings only_to of the workers differ: %s\n", shown(r.Disagree))
	}
}

// printUnfit says how many mails no relay takes.
func printUnfit(w io.Writer, u *notice.Unfit) {
	if u == nil {
		return
	}
	if u.SMTPUTF8 > 0 {
		fmt.Fprintf(w, "  that no relay takes\t%s: their addresses are not ASCII, which needs SMTPUTF8\n", count(u.SMTPUTF8))
	}
	if u.Size > 0 {
		fmt.Fprintf(w, "  that no relay takes\t%s: they are larger than its SIZE\n", count(u.Size))
	}
	for _, o := range u.Offers {
		if o.Error != "" {
			fmt.Fprintf(w, "Relay %s\tdoes not say what it takes: %s\n", shown(o.Relay), shown(o.Error))
		}
	}
}

// textOf names the text of a mail: "nl", or "nl, correction".
func textOf(s notice.Sample) string {
	if s.Correction {
		return s.Language + ", correction"
	}
	if s.Newcomer {
		return s.Language + ", newcomers"
	}
	return s.Language
}

// printEnvelope writes the headers that a reader sees before the text of the mail. It adds the windows, and the times
// at which the notice goes out and expires.
func printEnvelope(w io.Writer, body notice.Body, p notice.Plan) {
	for _, s := range p.Samples {
		fmt.Fprintf(w, "Subject (%s)\t%s\n", textOf(s), shown(s.Subject))
	}
	fmt.Fprintf(w, "From\t%s\n", orNone(p.From))
	if p.ReplyTo != "" {
		fmt.Fprintf(w, "Reply-To\t%s\n", shown(p.ReplyTo))
	}
	for _, win := range body.Windows {
		zone := win.Zone
		if zone == "" {
			zone = body.Zone
		}
		fmt.Fprintf(w, "Window\t%s\n", strings.TrimSpace(shown(win.Start+" to "+win.End+" "+zone)))
	}
	for _, win := range body.Was {
		fmt.Fprintf(w, "Was\t%s\n", strings.TrimSpace(shown(win.Start+" to "+win.End+" "+cmp.Or(win.Zone, body.Zone))))
	}
	if body.AudienceAt == notice.AtSend {
		fmt.Fprintf(w, "Audience\tas it is when it goes out, at most %s\n", many(body.MaxRecipients, "recipient"))
	}
	printTime(w, "Goes out", body.SendAt, body.Zone)
	printTime(w, "Expires", body.ExpiresAt, body.Zone)
}

// asMoved fills in the fields that the notice of a moved maintenance takes from the notice before it.
func asMoved(body notice.Body, p notice.Plan) notice.Body {
	if p.Moved != nil {
		body.Was, body.Audience = p.Moved.Was, p.Moved.Audience
	}
	return body
}

// printReminders says which reminders a release makes, and which have no time any more.
func printReminders(w io.Writer, all []notice.Reminder) {
	for i := range all {
		r := &all[i]
		if r.Skipped != "" {
			fmt.Fprintf(w, "No reminder\t%s: %s (%s)\n", shown(r.Key), r.Skipped, when(&r.At))
		} else {
			fmt.Fprintf(w, "Reminder\t%s: %s\n", when(&r.At), shown(r.Key))
		}
	}
}

// reminded says in a question how many reminders a release makes.
func reminded(all []notice.Reminder) string {
	made := 0
	for _, r := range all {
		if r.Skipped == "" {
			made++
		}
	}
	if made == 0 {
		return ""
	}
	return ", and " + many(made, "reminder") + " later"
}

// printTime writes a time of a notice as it is written, and the instant that it means, where they differ.
func printTime(w io.Writer, what string, t notice.Time, zone string) {
	at, err := t.Instant(zone)
	switch {
	case err == nil && at == nil:
	case err != nil:
		fmt.Fprintf(w, "%s\t%s\n", what, shown(string(t)))
	case t.Local():
		fmt.Fprintf(w, "%s\t%s (%s %s)\n", what, when(at), shown(string(t)), zone)
	default:
		fmt.Fprintf(w, "%s\t%s\n", what, when(at))
	}
}

// printDifference compares a dry run with the incident's notice before it.
func printDifference(w io.Writer, d *notice.Difference) {
	switch {
	case d == nil:
	case d.RowsDroppedAt != nil:
		fmt.Fprintf(w, "Against %s\tits rows were dropped\n", d.Key)
	default:
		fmt.Fprintf(w, "Against %s\t\n", d.Key)
		fmt.Fprintf(w, "  it reached them too\t%s\n  new\t%s\n  it reached, this does not\t%s\n", count(d.Same), count(d.New), count(d.Left))
	}
}

// printBranches lists the parts of the texts that only some recipients get, and words that look like placeholders.
func printBranches(w io.Writer, dir string, p notice.Plan) error {
	t := table(w)
	if len(p.Branches) > 0 {
		fmt.Fprintln(w, "\nOnly some get:")
		for _, b := range p.Branches {
			fmt.Fprintf(t, "  %s\t%s of %s\t%s\n", directory.Place(dir, b.Place), count(b.Recipients), count(b.Of), shown(b.Condition))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(p.Placeholders) > 0 {
		fmt.Fprintln(w, "\nLooks as if something was still to be put in its place:")
		for _, f := range p.Placeholders {
			fmt.Fprintf(t, "  %s\t%s\n", directory.Place(dir, f.Place), shown(f.Text))
		}
	}
	return t.Flush()
}
