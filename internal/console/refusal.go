package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"tocsin/internal/notice"
)

// refusals are the texts of the refusals that a page or a form can meet, by the English form of their message.
var refusals = map[string]string{
	"is missing: check the notice first":                        "refused.unchecked",
	"is missing: choose one":                                    "refused.no_file",
	"is larger than %d MiB":                                     "refused.large",
	"there is no such draft":                                    "refused.no_draft",
	"can't be read":                                             "refused.form",
	"is none of outage, maintenance, advisory":                  "refused.kind",
	"is not the tag of a language, as en, pt-BR or zh-Hant are": "refused.language_tag",
	"there is a person or a token %s, or was: a name is not used twice, as the log tells them apart by it": "refused.name_taken",
	"there is no person of that name":                                          "refused.no_person",
	"there is no token of that name":                                           "refused.no_token",
	"the role of %s comes from %s at each sign-in":                             "refused.role_elsewhere",
	"%s signs in at %s":                                                        "refused.elsewhere",
	"this person was removed":                                                  "refused.removed",
	"is not viewer, sender, approver or admin":                                 "refused.role",
	"is not viewer, sender, approver, admin, metrics or bounces":               "refused.token_role",
	"is not in the future":                                                     "refused.not_future",
	"is no day such as 2027-01-31":                                             "refused.no_day",
	"is not a name of %s":                                                      "refused.no_name",
	"%s stands for something else in the log: take another name":               "refused.name_reserved",
	"notice %q is %s and has no recipients yet: change the customer's address": "refused.not_laid",
	"the customer does not stand on notice %q: it has no text for them":        "refused.not_on_it",
	"does not stand on this mail":                                              "refused.not_on_mail",
	"a version of Tocsin before erased mailboxes of notice %q without a trace: this may be one that has its mail":                                                       "refused.erased_before",
	"notice %q was cancelled (%s): nothing more of it is sent":                                                                                                          "refused.cancelled",
	"notice %q has expired: nothing more of it is sent":                                                                                                                 "refused.expired",
	"the ledger was restored from a backup, and may not know all mailboxes that have notice %q: nothing is added until that is settled (notice unhold %s --lift-fence)": "refused.fenced",
	"that address is on the list of suppressions: take it off first, if its reader agrees":                                                                              "refused.suppressed",
	"notice %s, a later one of the incident, goes to that mailbox or may have gone: no old news follows it":                                                             "refused.old_news",
	"with one more, notice %q goes to %d, and from that on another person has to approve it: send a notice of its own to that address":                                  "refused.one_more",
	"that mailbox is recipient %d of notice %s already. %s":                                                                                                             "refused.has_it",
	"notice %s has no delivery %d":                           "refused.row_gone",
	"notice %s has no delivery %d any more":                  "refused.row_gone",
	"is missing: the id of the customer whose address it is": "refused.customer_missing",
	"TOCSIN_TOKEN, and a call without a token, are nobody in particular and can't approve notice %q: use a token or an account of your own; in an emergency override with a reason": "refused.nobody",
	"%s wrote on notice %q: another person has to approve it; in an emergency override with a reason":                                                                               "refused.author",
	"is missing: the digest of the plan that was shown; the notice's status has that which waits (awaiting_approval)":                                                               "refused.no_plan",
	"is blank: say why no other person can approve it":                                                                                                                              "refused.override_blank",
	"is not one line of at most %d bytes": "refused.override_long",
	"the plan of notice %q that was shown is not known, or not any more: nothing was sent; look at it again":      "refused.plan_unknown",
	"the plan of notice %q that was shown does not stand any more (%s since): nothing was sent; look at it again": "refused.plan_fell",
	"notice %d is held by a hold, see `tocsin hold list`, and goes on by itself when that ends or is removed":     "refused.held_by_hold",
	"notice %d is held since the ledger was restored from a backup: it is for unhold to let it go":                "refused.held_restored",
	"notice %d is held since it could not leave: it is for unhold to let it go":                                   "refused.held_unleft",
	"notice %d is %s: there is nothing to %s":                                                                     "refused.nothing_to_do",
	"notice %q is no draft any more: it was released":                                                             "refused.no_draft_any_more",
	"notice %q is %s: there is nothing to cancel":                                                                 "refused.nothing_to_cancel",
	"is missing: a cancelled notice can't be sent on, so the page before asks":                                    "refused.unsure",
	"is none of those that there are":                                                                             "refused.scope",
	"it is not on the list of suppressions":                                                                       "refused.not_on_list",
	"it is on the list for every notice: take it off first if some are to reach it":                               "refused.on_it_for_all",
	"there is no notice %q":                                                 "refused.no_notice",
	"there is no notice of an incident %q":                                  "refused.no_incident",
	"there is no such mail":                                                 "refused.no_mail",
	"this notice reached everybody, or its rows were dropped":               "refused.reached_all",
	"there is no such customer on the audience":                             "refused.no_reader",
	"%q is not 1 to 100 of A-Z a-z 0-9 . _ ~ - with at least one letter":    "fault.key",
	"%q is no phase of kind %s: %s":                                         "fault.phase",
	"%q is none of %s":                                                      "fault.none_of",
	"are none: phase rescheduled says when it will be now":                  "fault.moved_windows",
	"goes with phase rescheduled: it has the windows of before":             "fault.was",
	"goes with kind: maintenance and windows: no other mail has a calendar": "fault.calendar",
	"says nobody: write a filter such as server = \"s639\", a list of customers or an earlier notice, or %s for every customer": "fault.nobody",
	"%q is not a domain":                                           "fault.domain",
	"is not the address of a mailbox":                              "fault.mailbox",
	"%q is not an IANA time zone such as Europe/Amsterdam":         "fault.zone",
	"%q is not a time like 2026-11-09T21:00":                       "fault.time",
	"is not after start: %s – %s":                                  "fault.ends",
	"a window wants both a start and an end":                       "fault.window",
	"%s: %q is not a whole number such as 3000":                    "fault.number",
	"the template %s needs it, such as %q":                         "fault.needed",
	"the template %s does not know it: it takes %s":                "fault.unknown",
	"the subject must stand on this line":                          "fault.subject",
	"has no text: add one such as en.md, or name a template in %s": "fault.no_text",
	"there is no text in %s, only in %s":                           "fault.default_language",
	"notice %q is a draft: nobody stands on it yet":                "fault.draft",
	"is not html, text, headers or source":                         "refused.no_form",
	"is longer than 1,000 bytes, or the notice than 100":           "refused.too_long",
	"people do not sign in at an issuer here":                      "refused.no_issuer",
	"%q is none of %v":                                             "refused.no_state",
}

// refusedAs are the texts for refusals that have none of their own, by their class.
var refusedAs = map[notice.Code]string{
	notice.CodeInvalid: "refused.invalid", notice.CodeNotFound: "refused.not_found", notice.CodeConflict: "refused.conflict",
	notice.CodeTooEarly: "refused.too_early", notice.CodePlanChanged: "refused.plan_changed",
}

// refusedWith are the texts for requests that are refused before they come to a page, by the status.
var refusedWith = map[int]string{
	http.StatusForbidden: "refused.forbidden", http.StatusNotFound: "refused.no_page", http.StatusMethodNotAllowed: "refused.no_method",
	http.StatusRequestEntityTooLarge: "refused.too_large", http.StatusTooManyRequests: "refused.too_many",
}

// Refusal says why a request was refused, in the reader's language. Said is the message in English, where it has more to say than the text.
type Refusal struct{ Text, Said string }

// refusal is that of a domain error; the zero Refusal for any other.
func (f *Frame) refusal(err error) (r Refusal) {
	e, ok := errors.AsType[*notice.Error](err)
	if !ok {
		return r
	}
	name, known := refusals[e.Form]
	if !known {
		return Refusal{f.T(refusedAs[e.Code]), e.Error()}
	}
	text := f.T(name)
	if strings.Count(text, "%") < strings.Count(e.Form, "%") {
		r.Said = e.Error()
	}
	if r.Text = text; strings.Contains(text, "%") {
		r.Text = f.T(name, f.arguments(e.Args)...)
	}
	return r
}

// arguments are numbers and states as the reader writes them, and all else as it is.
func (f *Frame) arguments(args []any) (all []any) {
	for _, arg := range args {
		switch a := arg.(type) {
		case int:
			arg = f.N(a)
		case notice.State:
			arg = f.State(a)
		default:
			arg = fmt.Sprint(a)
		}
		all = append(all, arg)
	}
	return all
}
