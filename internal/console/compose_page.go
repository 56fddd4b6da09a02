package console

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

// composeView is the page on which a draft is written.
type composeView struct {
	*Frame
	Draft    notice.SavedDraft
	Key      string
	Files    []draftFile
	Faults   []fault // of the directory
	Conflict string  // why it was not saved
	Wrong    string  // why it could not be checked, where that is no fault of a file
	Plan     notice.Plan
	Checked  bool // Plan is what a release would do
	Samples  []shownSample
}

// shownSample is a mail of the plan, as the page shows it.
type shownSample struct {
	notice.Sample
	Document string // its HTML, under the policy of the page
}

// showSamples makes the mails ready that the plan shows, that of the customer asked for first. It returns the policy of the page, which lets in the
// styles of these mails, by their hashes; frames inherit it.
func (v *composeView) showSamples() (with string) {
	samples := v.Plan.Samples
	if asked := v.Plan.Asked; asked != nil && asked.Sample != nil {
		samples = slices.Concat([]notice.Sample{*asked.Sample}, samples)
	}
	styles := []string{"'self'"}
	for _, s := range samples {
		document, its := framed(s.HTML)
		v.Samples = append(v.Samples, shownSample{s, document})
		for _, hash := range its {
			if hash != "'none'" && !slices.Contains(styles, hash) {
				styles = append(styles, hash)
			}
		}
	}
	with = strings.Replace(policy, "style-src 'self'", "style-src "+strings.Join(styles, " "), 1)
	return strings.Replace(with, "img-src 'self'", "img-src 'self' data:", 1)
}

// NoMail says why the customer asked for gets no mail, "" where they get one, or nobody is asked for.
func (v *composeView) NoMail() string {
	if asked := v.Plan.Asked; asked != nil && asked.Sample == nil {
		return v.T("compose.no_mail", asked.ID, v.term("reason", asked.Reason))
	}
	return ""
}

// compose is the page of a draft.
func (c *Console) compose(r *http.Request) (view, error) {
	s, err := c.savedDraft(r)
	if err != nil {
		return nil, err
	}
	return c.composeView(r, s), nil
}

func (c *Console) composeView(r *http.Request, s notice.SavedDraft) *composeView {
	v := &composeView{Frame: c.frame(r, "compose.title"), Draft: s, Key: keyOf(s.Files)}
	_, err := directory.ReadFiles(directory.Files(s.Files).FS())
	v.find(err)
	if v.Key != "" {
		v.Title = v.T("compose.of", v.Key)
	}
	return v
}

// find shows the mistakes of the directory.
func (v *composeView) find(err error) {
	v.Faults = faultsOf(err)
	v.Files = filesOf(v.Draft.Files, v.Faults)
}

// saveDraft keeps the files of the form, and does with them as its button says: nothing more, check, add a language, or remove a file.
func (c *Console) saveDraft(w http.ResponseWriter, r *http.Request) {
	s, err := c.savedDraft(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		c.fail(w, r, notice.Invalid("form", "can't be read"))
		return
	}
	files, err := edited(s.Files, r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	who, _ := notice.Pressed(r.Context())
	version, err := c.Book.SaveDraft(r.Context(), s.Number, versionOf(r), files, who)
	if notice.CodeOf(err) == notice.CodeConflict {
		s.Files = files // as the reader has it; saved again, it goes over the other's
		v := c.composeView(r, s)
		v.Conflict = v.T("compose.conflict", s.ChangedBy, v.At(s.ChangedAt))
		c.render(w, r, http.StatusConflict, "compose", v)
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if r.PostFormValue("do") != "check" {
		http.Redirect(w, r, fmt.Sprintf("/compose/%d", s.Number), http.StatusSeeOther)
		return
	}
	s.Files, s.Version, s.ChangedBy = files, version, who
	c.check(w, r, s)
}

// check makes a draft notice of the files, and shows the effect of its release.
func (c *Console) check(w http.ResponseWriter, r *http.Request, s notice.SavedDraft) {
	v := c.composeView(r, s)
	files := directory.Files(s.Files).FS()
	body, err := directory.ReadFiles(files)
	if err == nil {
		who, _ := notice.Pressed(r.Context())
		var st notice.Status
		if st, _, err = c.Desk.Draft(r.Context(), body, who); err == nil && st.State.Released() {
			http.Redirect(w, r, "/notices/"+st.Key, http.StatusSeeOther)
			return
		}
		if err == nil {
			v.Plan, err = c.Desk.Preview(r.Context(), body, notice.Previewing{Customer: strings.TrimSpace(r.PostFormValue("customer"))})
		}
		err = directory.LocateIn(files, err)
	}
	status := http.StatusOK
	switch faults := faultsOf(err); {
	case err == nil:
		v.Checked = true
		w.Header().Set("Content-Security-Policy", v.showSamples())
	case len(faults) == 0:
		c.fail(w, r, err)
		return
	default:
		status = http.StatusUnprocessableEntity
		v.find(err)
		if _, of := s.Files[faults[0].File]; !of {
			v.Wrong = err.Error()
		}
	}
	c.render(w, r, status, "compose", v)
}

// Refused are the checks that forbid the release, in words.
func (v *composeView) Refused() (all []string) {
	for _, h := range v.Plan.Holes {
		all = append(all, h.Place+": "+h.Reason)
	}
	for _, refusal := range v.Plan.Refusals {
		all = append(all, refusal.Reason)
	}
	return all
}

// Releasable reports whether the plan that is shown can be released.
func (v *composeView) Releasable() bool {
	return v.Checked && v.Plan.Digest != "" && len(v.Refused()) == 0
}

// Suppressed are the reasons for which recipients get no mail, with their numbers.
func (v *composeView) Suppressed() (all []numbered) {
	for _, reason := range slices.Sorted(maps.Keys(v.Plan.Suppressed)) {
		all = append(all, numbered{v.Reason(reason), v.Plan.Suppressed[reason]})
	}
	return all
}

// Languages are the languages of the mails, with their numbers.
func (v *composeView) Languages() (all []numbered) {
	for _, key := range slices.Sorted(maps.Keys(v.Plan.ByLanguage)) {
		all = append(all, numbered{v.Language(key), v.Plan.ByLanguage[key]})
	}
	return all
}

// numbered is a name with a number.
type numbered struct {
	Name string
	N    int
}

// release lets a draft go, to the plan that the page showed.
func (c *Console) release(w http.ResponseWriter, r *http.Request) {
	plan := strings.TrimSpace(r.PostFormValue("plan"))
	if plan == "" {
		c.fail(w, r, notice.Invalid("plan", "is missing: check the notice first"))
		return
	}
	ref := r.PathValue("id")
	who, _ := notice.Pressed(r.Context())
	st, _, err := c.Desk.Release(r.Context(), ref, notice.Releasing{Plan: plan}, who)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/notices/"+st.Key, http.StatusSeeOther)
}
