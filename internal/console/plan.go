package console

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// planPart is a dry run, as the page of a check shows it.
type planPart struct {
	*Frame
	Key      string // of the notice
	Plan     notice.Plan
	Mails    int // recipients to be mailed
	Samples  []shownSample
	Tables   []planTable
	Branches []branchRow
	Holes    []notice.Hole
}

// shownSample is a mail of the plan, as the page shows it.
type shownSample struct {
	notice.Sample
	Document string // its HTML, under the policy of the page
}

// planTable are numbers of a plan by something.
type planTable struct {
	ID, Title string
	Rows      []numbered
}

// numbered is a name with a number.
type numbered struct {
	Name string
	N    int
}

// branchRow is a part of a text that some recipients get.
type branchRow struct {
	notice.Branch
	Share float64 // of the recipients who get the text, in percent
}

// zonesShown is how many time zones a check lists, those of the most recipients.
const zonesShown = 20

// planPart shows the dry run of a notice; place names a place in its texts as its author knows it.
func (f *Frame) planPart(key string, plan notice.Plan, place func(string) string) planPart {
	p := planPart{Frame: f, Key: key, Plan: plan}
	for _, n := range plan.ByLanguage {
		p.Mails += n
	}
	for _, b := range plan.Branches {
		b.Place = place(b.Place)
		p.Branches = append(p.Branches, branchRow{b, 100 * float64(b.Recipients) / float64(max(1, b.Of))})
	}
	for _, h := range plan.Holes {
		h.Place = place(h.Place)
		p.Holes = append(p.Holes, h)
	}
	p.table("by-language", "notice.languages", f.counted(plan.ByLanguage, f.Language))
	p.table("by-zone", "check.zones", f.atMost(f.counted(plan.ByZone, func(zone string) string { return cmp.Or(zone, f.T("check.own_zone")) }), zonesShown))
	p.table("by-domain", "check.domains", p.domains())
	p.table("suppressed", "check.suppressed", f.counted(plan.Suppressed, f.Reason))
	p.table("excluded", "check.excluded", f.counted(plan.Excluded, func(why string) string { return f.term("reason", why) }))
	p.table("fallbacks", "report.fallback_title", p.fallbacks())
	p.table("previous", "check.previous", p.previous())
	return p
}

// table adds numbers to the plan, where there are any.
func (p *planPart) table(id, title string, rows []numbered) {
	if len(rows) == 0 {
		return
	}
	text := p.T(title)
	if id == "previous" {
		text = p.T(title, p.Plan.Previous.Key)
	}
	p.Tables = append(p.Tables, planTable{id, text, rows})
}

// counted are counts by something, the largest first, with its name.
func (f *Frame) counted(counts map[string]int, name func(string) string) (all []numbered) {
	for _, key := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) }) {
		if counts[key] > 0 {
			all = append(all, numbered{name(key), counts[key]})
		}
	}
	return all
}

// atMost leaves the first so many rows, and puts the others together.
func (f *Frame) atMost(all []numbered, most int) []numbered {
	if len(all) <= most {
		return all
	}
	rest := 0
	for _, row := range all[most:] {
		rest += row.N
	}
	return append(all[:most:most], numbered{f.T("check.others", f.N(len(all)-most)), rest})
}

func (p *planPart) domains() (all []numbered) {
	for _, d := range p.Plan.ByDomain {
		name := d.Domain
		if name == "" {
			name = p.T("check.further")
		}
		all = append(all, numbered{name, d.Recipients})
	}
	return all
}

func (p *planPart) fallbacks() (all []numbered) {
	wanted := func(how string) func(string) string {
		return func(language string) string {
			if language == "" {
				return p.T("report.fallback_none") + " → " + p.T(how)
			}
			return p.Language(language) + " → " + p.T(how)
		}
	}
	return append(p.counted(p.Plan.LaterChoice, wanted("report.fallback_later")), p.counted(p.Plan.Fallback, wanted("report.fallback_default"))...)
}

func (p *planPart) previous() []numbered {
	d := p.Plan.Previous
	if d == nil || d.RowsDroppedAt != nil {
		return nil
	}
	return []numbered{{p.T("check.same"), d.Same}, {p.T("check.new"), d.New}, {p.T("check.left"), d.Left}}
}

// Forecast says when the last mail leaves, and the limit that it waits for; "" where nothing is known.
func (p planPart) Forecast() string {
	f := p.Plan.Forecast
	if f == nil || p.Mails == 0 {
		return ""
	}
	switch {
	case f.Why == notice.ForecastNoWorker || f.Why == notice.ForecastHold:
		return p.T("forecast." + f.Why)
	case f.Last == nil:
		return ""
	}
	by := p.T("forecast." + f.Why)
	switch f.Why {
	case notice.ForecastDomain:
		by = p.T("forecast.domain", f.Domain)
	case notice.ForecastWorkers, notice.ForecastRelays:
		by = p.T("forecast."+f.Why, p.Speed(f.RatePerS))
	}
	return p.T("forecast.last", p.At(*f.Last), p.Span(f.Last.Sub(f.Begins)), by)
}

// Unmailed is how many recipients get no mail.
func (p planPart) Unmailed() int { return p.Plan.Recipients - p.Mails }

// NoMail says why the customer asked for gets no mail, "" where they get one, or nobody is asked for.
func (p planPart) NoMail() string {
	if asked := p.Plan.Asked; asked != nil && asked.Sample == nil {
		return p.T("compose.no_mail", asked.ID, p.term("reason", asked.Reason))
	}
	return ""
}

// Refused are the checks that forbid the release, in words.
func (p planPart) Refused() (all []string) {
	for _, refusal := range p.Plan.Refusals {
		all = append(all, refusal.Reason)
	}
	if p.Plan.HoleCount > 0 {
		all = append(all, p.T("check.holes", p.N(p.Plan.HoleCount)))
	}
	if p.Plan.Customers == 0 {
		all = append(all, p.T("check.nobody"))
	}
	return all
}

// Releasable reports whether the plan that is shown can be released.
func (p planPart) Releasable() bool { return p.Plan.Digest != "" && len(p.Refused()) == 0 }

// Notes are the points that an author should look at again, in words.
func (p planPart) Notes() (all []string) {
	plan := p.Plan
	if plan.Alternates > 0 {
		all = append(all, p.T("check.alternates", p.N(plan.Alternates)))
	}
	if plan.Newcomers > 0 {
		all = append(all, p.T("check.newcomers", p.N(plan.Newcomers)))
	}
	if o := plan.OnlyTo; o != nil && o.Suppressed > 0 {
		all = append(all, p.T("check.only_to", p.N(o.Mailed), p.N(o.Suppressed)))
	}
	if u := plan.Unfit; u != nil && u.SMTPUTF8+u.Size > 0 {
		all = append(all, p.T("check.unfit", p.N(u.SMTPUTF8+u.Size)))
	}
	for _, f := range plan.Placeholders {
		all = append(all, p.T("check.placeholder", f.Place, f.Text))
	}
	if len(plan.Drafts) > 0 {
		all = append(all, p.T("check.drafts", strings.Join(plan.Drafts, ", ")))
	}
	for _, bad := range plan.Refused {
		all = append(all, fmt.Sprintf("%s: %s", bad.Subject, bad.Reason))
	}
	return append(all, plan.Hints...)
}

// Reminders are those that a release makes.
func (p planPart) Reminders() (all []notice.Reminder) {
	for _, r := range p.Plan.Reminders {
		if r.Skipped == "" {
			all = append(all, r)
		}
	}
	return all
}

// showSamples makes the mails ready that the plan shows, that of the customer asked for first. It returns the policy of the page, which lets in the
// styles of these mails, by their hashes; frames inherit it.
func (p *planPart) showSamples() (with string) {
	samples := p.Plan.Samples
	if asked := p.Plan.Asked; asked != nil && asked.Sample != nil {
		samples = slices.Concat([]notice.Sample{*asked.Sample}, samples)
	}
	var styles []string
	for _, s := range samples {
		document, its := framed(s.HTML)
		p.Samples = append(p.Samples, shownSample{s, document})
		for _, hash := range its {
			if !slices.Contains(styles, hash) {
				styles = append(styles, hash)
			}
		}
	}
	return policyWith(styles)
}
