package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

type (
	holdList struct {
		Holds []notice.Hold `json:"holds"`
	}
	holdBody struct {
		From   *time.Time `json:"from,omitempty" doc:"absent: now"`
		Until  *time.Time `json:"until,omitempty" doc:"absent: until it is removed, for one that begins now"`
		Reason string     `json:"reason,omitempty" maxLength:"200" doc:"shown with the notices that it holds"`
	}
)

func (s *Server) describeHolds(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"holds"}}
	}
	register(s, api, op("list-holds", http.MethodGet, "/v1/holds", "The times in which nothing leaves, now and to come"),
		func(ctx context.Context, _ *struct{}) (*answer[holdList], error) {
			all, err := s.book.Holds(ctx)
			for i := range all {
				all[i].InFile = all[i].In(s.holds)
			}
			return ok(holdList{orEmpty(all)}, err)
		})
	add := op("add-hold", http.MethodPost, "/v1/holds", "Let nothing leave for a time, or from now on; binds every worker at once")
	add.DefaultStatus = http.StatusCreated
	register(s, api, add, s.addHold, 400, 413, 415, 422)
	remove := op("remove-hold", http.MethodPost, "/v1/holds/{number}/remove", "End a hold; what it held goes on")
	register(s, api, remove, func(ctx context.Context, in *struct {
		Number int64 `path:"number"`
	}) (*answer[notice.Hold], error) {
		return ok(s.book.RemoveHold(ctx, in.Number, requestOf(ctx).who))
	}, 404, 422)
}

func (s *Server) addHold(ctx context.Context, in *struct{ Body holdBody }) (*answer[notice.Hold], error) {
	h := notice.Hold{Until: inUTC(in.Body.Until), Reason: in.Body.Reason}
	if in.Body.From != nil {
		h.From = in.Body.From.UTC()
	}
	if err := h.Check(time.Now()); err != nil {
		return nil, err
	}
	return created(s.book.AddHold(ctx, h, requestOf(ctx).who))
}

// Holds returns the holds that are in force or to come.
func (cl *Client) Holds(ctx context.Context) ([]notice.Hold, error) {
	var list holdList
	err := cl.do(ctx, call{method: http.MethodGet, path: "/v1/holds", again: untilReached}, &list)
	return list.Holds, err
}

// AddHold lets nothing leave from a time until another; a nil from is now, and a nil until lasts until the hold is removed.
func (cl *Client) AddHold(ctx context.Context, from, until *time.Time, reason string) (h notice.Hold, err error) {
	body := holdBody{From: from, Until: until, Reason: reason}
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/holds", body: body}, &h)
	return h, err
}

// RemoveHold ends a hold.
func (cl *Client) RemoveHold(ctx context.Context, number int64) (h notice.Hold, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/holds/" + strconv.FormatInt(number, 10) + "/remove"}, &h)
	return h, err
}
