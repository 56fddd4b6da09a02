package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
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

	AsFile    bool // the files are shown instead of the form
	Sheet     directory.Sheet
	Ready     notice.Ready
	Panels    []panel
	Incidents []string // to choose from
	Earlier   []string // notices that an audience can go back to

	Crowd *crowdView // nil: it was not counted

	chosen string              // the language to show
	at     map[string][]string // faults by the field of notice.yaml
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
	v := &composeView{Frame: c.frame(r, "compose.title"), Draft: s, Key: keyOf(s.Files), AsFile: r.FormValue("as") == "file" || r.PostForm.Has("text:"+directory.Manifest), chosen: r.FormValue("tab")}
	v.Ready = c.Desk.Ready(v.Lang)
	_, err := directory.ReadFiles(directory.Files(s.Files).FS())
	if s.Version == 1 && r.Method == http.MethodGet && !v.AsFile {
		err = nil // nothing was written yet that could be wrong
	}
	v.find(err)
	if v.Key != "" {
		v.Title = v.T("compose.of", v.Key)
	}
	c.suggest(r, v)
	if r.FormValue("count") != "" {
		c.count(r, v)
	}
	return v
}

// suggested is how many of the last notices are offered to be named.
const suggested = 50

// suggest offers incidents and notices to name. Without them, any can be typed.
func (c *Console) suggest(r *http.Request, v *composeView) {
	all, err := c.Book.Notices(r.Context(), notice.Page{Limit: suggested})
	if err != nil {
		c.Log.Warn("a draft is shown without the notices that it could name", slog.Any("error", err))
	}
	for _, n := range all {
		if n.Incident != "" && !slices.Contains(v.Incidents, n.Incident) {
			v.Incidents = append(v.Incidents, n.Incident)
		}
		if n.State.Released() {
			v.Earlier = append(v.Earlier, n.Key)
		}
	}
}

// find shows the mistakes of the directory.
func (v *composeView) find(err error) {
	v.Faults = v.faultsOf(err)
	v.Files = filesOf(v.Draft.Files, v.Faults)
	v.Sheet = directory.ReadSheet(v.Draft.Files[directory.Manifest])
	v.at = map[string][]string{}
	for _, f := range v.Faults {
		if f.Field != "" {
			v.at[f.Field] = append(v.at[f.Field], f.Text)
		}
	}
	v.Panels = v.panelsOf(v.chosen)
}

// saveDraft keeps the files of the form, and does with them as its button says: nothing more, check, add a language, or remove a file.
func (c *Console) saveDraft(w http.ResponseWriter, r *http.Request) {
	s, err := c.savedDraft(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if err := parsed(r); err != nil {
		c.fail(w, r, err)
		return
	}
	files, err := edited(s.Files, r.PostForm, c.Desk.Ready(""))
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
		http.Redirect(w, r, composePath(s.Number, r.PostForm), http.StatusSeeOther)
		return
	}
	s.Files, s.Version, s.ChangedBy = files, version, who
	c.check(w, r, s)
}

// composePath is where the page of a draft is after a form was sent: with its form or its files, at the language that was written.
func composePath(number int64, form url.Values) string {
	path, query := fmt.Sprintf("/compose/%d", number), url.Values{}
	tab := form.Get("tab")
	switch form.Get("do") {
	case "as-file":
		return path + "?as=file"
	case "as-form":
		return path
	case "add":
		tab = strings.TrimSpace(form.Get("language"))
	}
	if form.Get("as") == "file" {
		query.Set("as", "file")
	}
	if tab != "" && tab != form.Get("remove-language") {
		query.Set("tab", tab)
	}
	if form.Get("do") == "count" {
		query.Set("count", "1")
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
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
			plan, err = c.Desk.Preview(r.Context(), body, notice.Previewing{Customer: customerIn(r)})
		}
		err = directory.LocateIn(files, err)
	}
	status := http.StatusUnprocessableEntity
	switch faults := v.faultsOf(err); {
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

// customerIn is the id of the customer for the mail that a check is to show. An address is for the preview alone.
func customerIn(r *http.Request) string {
	if named := strings.TrimSpace(r.PostFormValue("customer")); !strings.Contains(named, "@") {
		return named
	}
	return ""
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
