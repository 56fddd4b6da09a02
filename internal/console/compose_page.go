package console

import (
	"fmt"
	"net/http"
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

// check makes a draft notice of the files, and shows the effect of its release on a page of its own; faults stand at the files.
func (c *Console) check(w http.ResponseWriter, r *http.Request, s notice.SavedDraft) {
	v, plan := c.composeView(r, s), notice.Plan{}
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
			plan, err = c.Desk.Preview(r.Context(), body, notice.Previewing{Customer: strings.TrimSpace(r.PostFormValue("customer"))})
		}
		err = directory.LocateIn(files, err)
	}
	status := http.StatusUnprocessableEntity
	switch faults := faultsOf(err); {
	case err == nil:
		shown := &checkView{Frame: v.Frame, Notice: notice.Status{Key: body.Key}, Draft: &s}
		shown.Part = v.planPart(body.Key, plan, func(field string) string { return directory.PlaceIn(files, field) })
		c.showCheck(w, r, shown)
		return
	case len(faults) == 0:
		c.fail(w, r, err)
		return
	default:
		v.find(err)
		if _, of := s.Files[faults[0].File]; !of {
			v.Wrong = err.Error()
		}
	}
	c.render(w, r, status, "compose", v)
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
