package console

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// details are the forms of the parts of an act's detail, as the ledger writes them, and the names of their texts. {n} stands for a
// number, {t} for a time, {state} for a state of a delivery, {lang} for a
// language, {s} for anything.
var details = compileDetails([][2]string{
	{"recipient {n}", "detail.recipient"}, {"{n} recipients", "detail.recipients"}, {"another address of a customer of recipient {n}", "detail.another"},
	{"by notice {s}", "detail.by_notice"}, {"which corrects {n}", "detail.corrects"}, {"by a reader of delivery {n}", "detail.complaint"},
	{"{n} of {n} mails to {s} came back", "detail.came_back"}, {"refused by policy", "detail.by_policy"}, {"{n} in a row", "detail.in_a_row"},
	{"plan {s}", "detail.plan"}, {"draft {s}", "detail.draft"}, {"reminder of {s}", "detail.reminder_of"}, {"reminder {s}", "detail.reminder"},
	{"at most {n} recipients", "detail.at_most"}, {"no longer {n}", "detail.no_longer"}, {"resolved when it leaves", "detail.resolved"},
	{"allowed: {s}", "detail.allowed"}, {"from {t} until {t}", "detail.from_until"}, {"from {t} until it is removed", "detail.from_on"},
	{"until {t}", "detail.until"}, {"until it is resumed", "detail.until_resumed"},
	{"{n} at once until {t}", "detail.at_once_until"}, {"{n} at once until it is cleared", "detail.at_once_on"}, {"{n} at once", "detail.at_once"},
	{"{s} until {t}", "detail.limit_until"}, {"{s} until it is cleared", "detail.limit_on"},
	{"{n} taken", "detail.taken"}, {"{n} missing and requeued; log from {t} to {t}", "detail.missing"}, {"by a log that is followed", "detail.followed"},
	{"instead of at {t}", "detail.instead_of"}, {"from {s} to {s}", "detail.from_to"},
	{"{n} deliveries", "detail.deliveries"}, {"{state} with {n} at {s}", "detail.with_at"}, {"{state} with {n}", "detail.with"}, {"{state} at {s}", "detail.at"},
	{"by force {n} after notice {s}", "detail.forced"}, {"entry {n}", "detail.entry"}, {"{n} rows: {n} inserted", "detail.rows"},
	{"{n} updated", "detail.updated"}, {"{n} rejected", "detail.rejected"}, {"{n} retired", "detail.retired"}, {"as {s} says", "detail.as_says"},
	{"{n} mails to {s}", "detail.mails_to"}, {"rows {s}", "detail.rows_of"}, {"and {n} more", "detail.more"},
	{"{lang} sent", "detail.sent"}, {"{lang} later", "detail.later"}, {"{lang} never", "detail.never"}, {"{lang} uncertain", "detail.uncertain"},
	{"password", "detail.password"}, {"link", "detail.link"}, {"OpenID Connect", "detail.oidc"},
})

type detailForm struct {
	*regexp.Regexp
	text string
}

func compileDetails(forms [][2]string) (all []detailForm) {
	var states []string
	for _, s := range notice.DeliveryStates {
		states = append(states, s.String())
	}
	holes := strings.NewReplacer(`\{n\}`, `(\d+)`, `\{t\}`, `(\d{4}-\d\d-\d\dT[^ ]+)`, `\{s\}`, `(.+?)`, `\{lang\}`, `([a-z]{2,3}(?:-[A-Za-z0-9]+)*)`, `\{state\}`, "("+strings.Join(states, "|")+")")
	for _, form := range forms {
		all = append(all, detailForm{regexp.MustCompile("^" + holes.Replace(regexp.QuoteMeta(form[0])) + "$"), form[1]})
	}
	return all
}

// Detail says the detail of an act in the reader's language and zone. The words of people, and names, stay as they are.
func (f *Frame) Detail(detail string) string {
	parts := strings.Split(detail, ", ")
	for i, part := range parts {
		parts[i] = f.detail(part)
	}
	return strings.Join(parts, ", ")
}

func (f *Frame) detail(part string) string {
	if own, said, ok := strings.Cut(part, ": "); ok { // somebody's words behind ours
		if text, ok := f.formed(own); ok {
			if outcome, ok := f.formed(said); ok {
				said = outcome
			}
			return text + ": " + said
		}
	}
	if text, ok := f.formed(part); ok {
		return text
	}
	return f.Reason(part)
}

// formed is the text of a part that has one of our forms.
func (f *Frame) formed(part string) (string, bool) {
	for _, form := range details {
		if found := form.FindStringSubmatch(part); found != nil {
			var args []any
			for _, arg := range found[1:] {
				args = append(args, f.shown(arg))
			}
			return f.T(form.text, args...), true
		}
	}
	return part, false
}

// mostDigits has a number: a longer text is the beginning of a digest that happens to have no letters.
const mostDigits = 10

// shown is a number, a time or a state as the reader writes it, and everything else as it is.
func (f *Frame) shown(text string) string {
	if n, err := strconv.Atoi(text); err == nil && len(text) <= mostDigits {
		return f.N(n)
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return f.At(t)
	}
	return f.State(text)
}
