package console

import (
	"net/http"
	"strings"

	"tocsin/internal/notice"
)

// checkView is the page of a check: the dry run of a draft. It keeps nothing but the plan.
type checkView struct {
	*Frame
	Notice notice.Status
	Draft  *notice.SavedDraft // the files that it is written in here; nil: it came by the API
	Made   bool               // there is a dry run to show
	Part   planPart
}

// showCheck answers with the page of a dry run.
func (c *Console) showCheck(w http.ResponseWriter, r *http.Request, v *checkView) {
	v.Title, v.Made = v.T("check.of", v.Notice.Key), true
	w.Header().Set("Content-Security-Policy", v.Part.showSamples())
	c.render(w, r, http.StatusOK, "check", v)
}

// checkable is the status of a draft that can be checked.
func (c *Console) checkable(r *http.Request) (st notice.Status, err error) {
	st, err = c.Book.Status(r.Context(), r.PathValue("id"))
	if err == nil && st.State != notice.Draft {
		err = notice.Conflict("notice %q is no draft any more: it was released", st.Key)
	}
	return st, err
}

// askCheck is the page of a check before it is made: to make one takes time where many customers are on the audience.
func (c *Console) askCheck(r *http.Request) (view, error) {
	st, err := c.checkable(r)
	v := &checkView{Frame: c.frame(r, "check.title"), Notice: st}
	v.Title = v.T("check.of", st.Key)
	return v, err
}

// checkNotice makes the dry run of a draft notice. A plan that waits for approval stays.
func (c *Console) checkNotice(w http.ResponseWriter, r *http.Request) {
	st, err := c.checkable(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	run, asked := c.Desk.PreviewDraft, notice.Previewing{Customer: strings.TrimSpace(r.PostFormValue("customer"))}
	if st.AwaitingApproval != nil {
		run = c.Desk.ReviewDraft
	}
	plan, err := run(r.Context(), st.Key, asked)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := &checkView{Frame: c.frame(r, "check.title"), Notice: st}
	v.Part = v.planPart(st.Key, plan, func(field string) string { return field })
	c.showCheck(w, r, v)
}

// Moved reports that a release that waits for approval goes to other recipients than this dry run.
func (v *checkView) Moved() bool {
	asked := v.Notice.AwaitingApproval
	return v.Made && asked != nil && asked.Recipients != v.Part.Mails
}

// Checkable reports whether the reader may have the notice checked.
func (v *noticeView) Checkable() bool {
	return v.Person.May(string(notice.RoleSender)) && v.Notice.State == notice.Draft
}
