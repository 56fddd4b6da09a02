package console

import (
	"context"
	"net/http"

	"tocsin/internal/notice"
)

// Stoppable reports whether the notice can be stopped now.
func (v *noticeView) Stoppable() bool {
	return v.Person.May(string(notice.RoleSender)) && v.Notice.State == notice.Sending
}

// Resumable reports whether the notice can be sent on.
func (v *noticeView) Resumable() bool {
	return v.Person.May(string(notice.RoleSender)) && (v.Notice.State == notice.Paused || v.Notice.AtCanary())
}

// Canary says how the canary of the notice stands while the rest waits for it, "" where nothing waits.
func (v *noticeView) Canary() string {
	c := v.Notice.Canary
	if c == nil || !c.Waits || v.Notice.State.Finished() {
		return ""
	}
	key := "canary.on"
	if v.Notice.AtCanary() {
		key = "canary.held"
	}
	text := v.T(key, v.N(c.Counts[notice.DeliverySent.String()]), v.N(c.Mailboxes), v.N(v.Notice.Recipients))
	if v.Notice.AtCanary() && notice.StoppedCanary(v.Notice.Reason) {
		text += " " + v.T("canary.stopped")
	}
	return text
}

// pause stops a notice until somebody resumes it.
func (c *Console) pause(w http.ResponseWriter, r *http.Request) {
	c.operate(w, r, func(ctx context.Context, ref, who string) error {
		_, err := c.Desk.Pause(ctx, ref, who)
		return err
	})
}

// resume has a notice sent on that was stopped, or is held after its canary.
func (c *Console) resume(w http.ResponseWriter, r *http.Request) {
	c.operate(w, r, func(ctx context.Context, ref, who string) error {
		_, err := c.Desk.Resume(ctx, ref, notice.Resuming{}, who)
		return err
	})
}

// Cancellable reports whether the notice can be stopped for good.
func (v *noticeView) Cancellable() bool {
	return v.Person.May(string(notice.RoleSender)) && v.Notice.State.Released() && !v.Notice.State.Finished()
}

// cancelView asks before a notice is stopped for good.
type cancelView struct {
	*Frame
	Notice noticeRow
}

// askCancel is the page before a notice is stopped for good: it says how many mails never leave.
func (c *Console) askCancel(r *http.Request) (view, error) {
	st, err := c.Book.Status(r.Context(), r.PathValue("id"))
	if err == nil && (!st.State.Released() || st.State.Finished()) {
		err = notice.Conflict("notice %q is %s: there is nothing to cancel", st.Key, st.State)
	}
	return &cancelView{c.frame(r, "cancel.title"), noticeRow{st, bar(st.Counts, st.Recipients)}}, err
}

// cancel stops a notice for good.
func (c *Console) cancel(w http.ResponseWriter, r *http.Request) {
	c.operate(w, r, func(ctx context.Context, ref, who string) error {
		if r.PostFormValue("sure") != "yes" {
			return notice.Invalid("sure", "is missing: a cancelled notice can't be sent on, so the page before asks")
		}
		_, err := c.Desk.Cancel(ctx, ref, who)
		return err
	})
}

// approve releases the plan that the page showed, in the name of the reader.
func (c *Console) approve(w http.ResponseWriter, r *http.Request) {
	c.operate(w, r, func(ctx context.Context, ref, who string) error {
		_, _, err := c.Desk.Approve(ctx, ref, notice.Approving{Plan: r.PostFormValue("plan"), Override: r.PostFormValue("override")}, who)
		return err
	})
}

// operate carries out an act about a notice, and shows its page again.
func (c *Console) operate(w http.ResponseWriter, r *http.Request, act func(ctx context.Context, ref, who string) error) {
	ref := r.PathValue("id")
	who, _ := notice.Pressed(r.Context())
	if err := act(r.Context(), ref, who); err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/notices/"+ref, http.StatusSeeOther)
}
