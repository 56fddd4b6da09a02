package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// reportPart are the numbers of a report, as the pages of a notice and of an incident show them.
type reportPart struct {
	*Frame
	Report    notice.Report
	Tables    notice.Report // the same by language and outcome, perhaps of a moment before; its AsOf is zero where it is being counted
	States    []string      // the columns of the table of languages: those that some mail is in
	Languages []languageRow
	Fallbacks []fallbackRow
}

// fallbackRow are the recipients with the text of another language than the first that they want.
type fallbackRow struct {
	Wanted     string // a language, or a list of languages; "" = none is known
	Later      bool   // they have the text of a later language of the list, and not that of the default one
	Recipients int
}

// languageRow are the mails of a language, by the states of the report.
type languageRow struct {
	Language string // "" = no mail is made
	Counts   []int
	Sum      int
}

// Began is the reach once a mail left or came to an end without that: before, there is none to speak of.
func (p reportPart) Began() *notice.Reach {
	if r := p.Report.Reach; r.Reached+r.NotReached+r.Unknown > 0 {
		return &r
	}
	return nil
}

func (f *Frame) reportPart(report, tables notice.Report) reportPart {
	p := reportPart{Frame: f, Report: report, Tables: tables}
	for _, s := range shownFirst {
		if tables.Counts[s.String()] > 0 {
			p.States = append(p.States, s.String())
		}
	}
	for _, lang := range sorted(tables.ByLanguage) {
		row := languageRow{Language: lang}
		for _, s := range p.States {
			n := tables.ByLanguage[lang][s]
			row.Counts, row.Sum = append(row.Counts, n), row.Sum+n
		}
		p.Languages = append(p.Languages, row)
	}
	for _, wanted := range sorted(report.LaterChoice) {
		p.Fallbacks = append(p.Fallbacks, fallbackRow{wanted, true, report.LaterChoice[wanted]})
	}
	for _, wanted := range sorted(report.Fallback) {
		p.Fallbacks = append(p.Fallbacks, fallbackRow{wanted, false, report.Fallback[wanted]})
	}
	return p
}

// noticeView is the page of a notice.
type noticeView struct {
	*Frame
	Notice notice.Status
	Bar    []slice
	Part   reportPart
	Chart  *chart // nil: no mail was taken
	Acts   []notice.Act

	Bounces notice.Bounces
	Classes []string // the columns of the table of domains: those that some mail came back with
}

// reported returns the report on the notice that a path names, as tallies have it. Pages of one notice share its count.
func (c *Console) reported(r *http.Request) (now, tables notice.Report, err error) {
	st, err := c.Book.Status(r.Context(), r.PathValue("id"))
	if err != nil {
		return now, tables, err
	}
	return c.tallies.counted(r.Context(), "/notices/"+st.Key, []notice.Status{st}, func(ctx context.Context) (notice.Report, error) { return c.Book.Report(ctx, st.Key) })
}

func (c *Console) notice(r *http.Request) (view, error) {
	v := &noticeView{Frame: c.frame(r, "notice.title")}
	report, tables, err := c.reported(r)
	if err != nil {
		return nil, err
	}
	v.Notice = report.Notices[0]
	v.Title, v.Bar, v.Part = v.Notice.Key, bar(v.Notice.Counts, v.Notice.Recipients), v.reportPart(report, tables)
	over, domains, err := c.going.read(r.Context(), c.Book, v.Notice)
	if err != nil {
		return nil, err
	}
	v.Chart, v.Bounces = v.chart(over, domains), tables.Bounces
	for _, class := range notice.BounceClasses {
		if v.Bounces.ByClass[string(class)] > 0 {
			v.Classes = append(v.Classes, string(class))
		}
	}
	v.Acts, err = c.Book.Acts(r.Context(), notice.ActPage{Notice: v.Notice.Key, Limit: 20})
	return v, err
}

// mostOfIncident is how many notices of an incident its page has, the newest.
const mostOfIncident = 200

// incidentView is the page of an incident: all of its notices.
type incidentView struct {
	*Frame
	Notices []noticeRow
	Bar     []slice
	Part    reportPart
	Coming  []notice.Status // the notices that leave by themselves, the next one first
}

// Latest is the key of the last notice that people wrote and released, which an update follows; "" for a reader who may write none, and where none
// is. One that was cancelled before a mail left has told nobody anything.
func (v *incidentView) Latest() string {
	for _, n := range slices.Backward(v.Notices) {
		told := n.State != notice.Cancelled || n.FirstSentAt != nil
		if v.Person.May(string(notice.RoleSender)) && n.State.Released() && told && n.ReminderOf == "" {
			return n.Key
		}
	}
	return ""
}

// coming are the notices that are scheduled, in the order in which they leave.
func coming(all []notice.Status) (next []notice.Status) {
	for _, st := range all {
		if st.State == notice.Scheduled && st.SendAt != nil {
			next = append(next, st)
		}
	}
	slices.SortStableFunc(next, func(a, b notice.Status) int { return a.SendAt.Compare(*b.SendAt) })
	return next
}

func (c *Console) incident(r *http.Request) (view, error) {
	v := &incidentView{Frame: c.frame(r, "incident.title")}
	incident := r.PathValue("id")
	statuses, err := c.Book.Notices(r.Context(), notice.Page{Incident: incident, Limit: mostOfIncident})
	if err != nil {
		return nil, err
	}
	if len(statuses) == 0 {
		return nil, notice.NotFound("there is no notice of an incident %q", incident)
	}
	slices.Reverse(statuses)
	report, tables, err := c.tallies.counted(r.Context(), r.URL.Path, statuses, func(ctx context.Context) (notice.Report, error) { return c.Book.IncidentReport(ctx, incident) })
	if err != nil {
		return nil, err
	}
	v.Title, v.Bar, v.Part = report.Incident, bar(report.Counts, report.Recipients), v.reportPart(report, tables)
	v.Coming = coming(report.Notices)
	for _, st := range report.Notices {
		v.Notices = append(v.Notices, noticeRow{st, bar(st.Counts, st.Recipients)})
	}
	return v, nil
}

// taken says which keys a notice of r's can't have: those of notices, and of drafts that people write.
func (c *Console) taken(r *http.Request) directory.Taken {
	return func(key string) (bool, error) {
		if _, err := c.Book.Status(r.Context(), key); notice.CodeOf(err) != notice.CodeNotFound {
			return err == nil, err
		}
		drafts, err := c.Book.SavedDrafts(r.Context())
		return slices.ContainsFunc(drafts, func(s notice.SavedDraft) bool { return keyOf(s.Files) == key }), err
	}
}

// missed is the report of a notice that did not reach everybody.
func (c *Console) missed(r *http.Request, key string) (report notice.Report, err error) {
	report, err = c.Book.Report(r.Context(), key)
	if err == nil && report.NotReached == "" {
		err = notice.Conflict("this notice reached everybody, or its rows were dropped")
	}
	return report, err
}

// nextNotice is a notice.yaml of a next notice, to the recipients that this one did not reach. Texts go into the same folder.
func (c *Console) nextNotice(w http.ResponseWriter, r *http.Request) {
	report, err := c.missed(r, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	n := report.Notices[0]
	again, err := directory.Free(n.Key+".again", c.taken(r))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "key: %q\nincident: %q\nkind: %s\nphase: %s\n", again, cmp.Or(n.Incident, n.Key), n.Kind, n.Phase)
	fmt.Fprintf(&b, "severity: major # minor, major or critical\n%s\n", report.NotReached)
	w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="notice.yaml"`)
	_, _ = w.Write([]byte(b.String())) // fails only if the reader has gone
}
