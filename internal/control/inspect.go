package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// checkTexts refuses texts of a new notice that can be rendered and would mislead their author.
func (d *Desk) checkTexts(ctx context.Context, p prepared) error {
	asked := map[string]bool{}
	for _, program := range p.programs() {
		if err := program.Sound(); err != nil {
			return err
		}
		for _, c := range program.Conditions() {
			if key := fmt.Sprintf("%+v", c.Filter); !asked[key] {
				asked[key] = true
				if err := d.checkCondition(ctx, c); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkCondition refuses a condition of a text that holds for no customer.
func (d *Desk) checkCondition(ctx context.Context, c render.Condition) error {
	f := c.Filter
	if f.Op == notice.FilterHas {
		known, others, err := d.knownAttribute(ctx, f.Field)
		if err != nil {
			return err
		}
		if !known && !slices.ContainsFunc(others, func(name string) bool { return strings.EqualFold(name, f.Field) }) {
			return notice.Invalid(c.Place, "%s: no customer has the attribute %s%s", c.What, f.Field, meant(f.Field, others))
		}
		return nil
	}
	any, err := d.Ledger.Anybody(ctx, f)
	if err != nil {
		return err
	}
	if !any {
		return notice.Invalid(c.Place, "%s: no customer has the %s %q: what depends on it would never be sent", c.What, f.Field, f.Value)
	}
	return nil
}

// meant says which of the known names a misspelt one may stand for.
func meant(name string, known []string) string {
	if close := notice.Closest(name, known); close != "" {
		return "; did you mean " + close + "?"
	}
	return ""
}

// inspection looks at every mail of a notice before any leaves.
type inspection struct {
	program   *render.Program
	samples   *samples // nil: no mails are kept
	senders   notice.Senders
	others    int           // to be mailed, and left out by the senders
	unfit     *notice.Unfit // nil: the relays were not asked
	message   []byte        // the last one that was made
	foreign   bool          // the sender's address wants SMTPUTF8
	stamp     func() render.Stamp
	holeCount int
	holes     []notice.Hole
	branches  []notice.Branch
	taken     []bool
	mails     map[string]int // by the language of a text

	// correction looks at the same recipients' mails with the correction; nil: the notice is no amendment.
	correction *inspection
}

// inspect returns an inspection of the mails of a notice. s is nil where no mails are kept.
func (p prepared) inspect(s *samples) *inspection {
	i := newInspection(p.program, s)
	if p.correction != nil {
		if s != nil {
			s = &samples{correction: true}
		}
		i.correction = newInspection(p.correction, s)
	}
	return i
}

func newInspection(p *render.Program, s *samples) *inspection {
	i := &inspection{program: p, samples: s, mails: map[string]int{}}
	for _, b := range p.Branches() {
		i.branches = append(i.branches, notice.Branch{Language: b.Language, Place: b.Place, Condition: b.Condition})
	}
	i.taken = make([]bool, len(i.branches))
	return i
}

// tell adds the findings to a dry run.
func (i *inspection) tell(plan *notice.Plan) {
	plan.HoleCount, plan.Samples, plan.Asked = i.holeCount, i.samples.kept, i.samples.told
	plan.Holes = append(plan.Holes, i.holes...)
	plan.Placeholders = i.program.Placeholders()
	for k := range i.branches {
		i.branches[k].Of = i.mails[i.branches[k].Language]
	}
	plan.Branches, plan.Unfit = i.branches, i.unfit
	if c := i.correction; c != nil {
		var its notice.Plan
		c.tell(&its)
		plan.HoleCount, plan.Holes = plan.HoleCount+its.HoleCount, append(plan.Holes, its.Holes...)
		plan.Samples, plan.Branches, plan.Placeholders = append(plan.Samples, its.Samples...), append(plan.Branches, its.Branches...), append(plan.Placeholders, its.Placeholders...)
	}
	i.languages(plan)
	if len(i.senders.OnlyTo) > 0 || i.senders.Disagree != "" {
		r := notice.Restriction{OnlyTo: i.senders.OnlyTo, Suppressed: i.others, Disagree: i.senders.Disagree}
		for _, n := range plan.ByLanguage {
			r.Mailed += n
		}
		r.Mailed -= r.Suppressed
		plan.OnlyTo = &r
	}
}

// languages says which of the languages of a dry run's mails are drafts, and which have a paragraph in another one.
func (i *inspection) languages(plan *notice.Plan) {
	foreign := i.program.Foreign()
	for _, key := range slices.Sorted(maps.Keys(plan.ByLanguage)) {
		if slices.Contains(i.program.Drafts(), key) {
			plan.Drafts = append(plan.Drafts, key)
		}
		if its := foreign[key]; its != "" {
			if plan.Foreign == nil {
				plan.Foreign = map[string][]string{}
			}
			plan.Foreign[its] = append(plan.Foreign[its], key)
		}
	}
}

const holesShown, branchesShown = 20, 20

func (i *inspection) see(r notice.Recipient, text string) error {
	if err := i.program.Check(r, text); err != nil {
		i.miss(r, text, err)
		return nil
	}
	if i.correction != nil {
		if err := i.correction.see(r, text); err != nil {
			return err
		}
	}
	if i.samples == nil {
		return nil
	}
	if i.leavesOut(r) {
		i.others++
	} else if err := i.fit(r, text); err != nil {
		return err
	}
	if err := i.keep(r, text); err != nil {
		return err
	}
	return i.count(r, text)
}

// seeToo looks at the mail that a recipient gets if they turn out to be a newcomer, for a hole that the other mail has not.
func (i *inspection) seeToo(r notice.Recipient, text string) error {
	told := r
	told.Newcomer = false
	if i.program.Check(told, text) != nil {
		return nil
	}
	if err := i.program.Check(r, text); err != nil {
		i.miss(r, text, err)
		return nil
	}
	if i.correction != nil {
		if err := i.correction.seeToo(r, text); err != nil {
			return err
		}
	}
	if i.samples == nil || i.samples.has(text, true) {
		return nil
	}
	m, err := i.sample(r, text)
	if err == nil {
		i.samples.kept = append(i.samples.kept, m)
	}
	return err
}

// miss notes a recipient with a hole in their mail.
func (i *inspection) miss(r notice.Recipient, text string, err error) {
	i.holeCount++
	h := hole(r, text, err)
	if len(i.holes) < holesShown {
		i.holes = append(i.holes, h)
	}
	if i.samples.asks(r) {
		i.samples.tell(r, notice.Asked{Reason: notice.ReasonHole, Hole: &h})
	}
}

// leavesOut reports whether the senders are set up to leave a recipient out.
func (i *inspection) leavesOut(r notice.Recipient) bool {
	if len(i.senders.OnlyTo) == 0 {
		return false
	}
	a, err := audience.ParseAddress(r.Address)
	return err != nil || !i.senders.OnlyTo.Matches(a.Key())
}

// fit counts a mail that no relay takes. Its size is known without making it where it is far from every relay's limit.
func (i *inspection) fit(r notice.Recipient, text string) error {
	if i.unfit == nil {
		return nil
	}
	size := 0
	if least := i.unfit.Least(); least > 0 {
		m, err := i.program.Compiled(r, text)
		if err != nil {
			return err
		}
		if size = m.AtMost(r); size > least {
			if i.message, err = i.program.Render(i.message[:0], r, text, i.stamp()); err != nil {
				return err
			}
			size = len(i.message)
		}
	}
	i.unfit.Add(i.foreign || international(r.Address), size)
	return nil
}

// international reports whether an address wants SMTPUTF8: its domain does not, as it has a form in ASCII.
func international(address string) bool {
	local := address[:max(0, strings.LastIndexByte(address, '@'))]
	return strings.ContainsFunc(local, func(r rune) bool { return r >= utf8.RuneSelf })
}

// count counts the branches that a recipient's texts take, and keeps a mail of the first who takes one.
func (i *inspection) count(r notice.Recipient, text string) error {
	if len(i.branches) == 0 {
		return nil
	}
	clear(i.taken)
	languages, err := i.program.Taken(r, text, i.taken)
	if err != nil {
		return err
	}
	for _, l := range languages {
		i.mails[l]++
	}
	for k, yes := range i.taken {
		if !yes {
			continue
		}
		b := &i.branches[k]
		if b.Recipients++; b.Recipients > 1 || k >= branchesShown {
			continue
		}
		s, err := i.sample(r, text)
		if err != nil {
			return err
		}
		b.Sample = &s
	}
	return nil
}

func hole(r notice.Recipient, text string, err error) notice.Hole {
	h := notice.Hole{Customer: r.Customers[0].ID, Language: text, Reason: err.Error()}
	if e, ok := errors.AsType[*notice.Error](err); ok {
		h.Place, h.Reason = e.Field, e.Message
	}
	return h
}

// judge refuses a notice with holes in its mails.
func (i *inspection) judge() error {
	if i.holeCount == 0 && i.correction != nil {
		return i.correction.judge()
	}
	if i.holeCount == 0 {
		return nil
	}
	first := i.holes[0]
	return notice.Conflict("%d recipients would get a mail with a hole in it, the first of them customer %s: %s: %s",
		i.holeCount, first.Customer, first.Place, first.Reason)
}
