package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"tocsin/internal/notice"
)

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// StatusError is an answer with another status than was hoped for, which is no domain error.
type StatusError struct {
	Status  int
	Foreign bool // something else than Tocsin answered
	text    string
}

func (e *StatusError) Error() string { return e.text }

// explain turns a failed request into an error that is fit for a terminal. It closes the answer.
func (cl *Client) explain(resp *http.Response, err error) error {
	if err != nil {
		return cl.unreached(err)
	}
	defer resp.Body.Close()
	var p Problem
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != problemType || json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p) != nil {
		return &StatusError{resp.StatusCode, true, fmt.Sprintf("%s answered %s: it does not seem to be Tocsin; TOCSIN_URL says where it is", cl.base, resp.Status)}
	}
	if p.Code != "" {
		return p.domain()
	}
	text := fmt.Sprintf("the server at %s answered %d: %s", cl.base, p.Status, p.Detail)
	switch {
	case resp.StatusCode == http.StatusUnauthorized && cl.token == "":
		text = fmt.Sprintf("the server at %s wants a token: set TOCSIN_TOKEN", cl.base)
	case resp.StatusCode == http.StatusUnauthorized:
		text = fmt.Sprintf("the server at %s refuses: %s; check TOCSIN_TOKEN", cl.base, p.Detail)
	case resp.StatusCode >= 500:
		text += "; its log has more under request " + p.RequestID
	}
	return &StatusError{resp.StatusCode, false, text}
}

// unreached says that there was no answer, and why.
func (cl *Client) unreached(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return file // the file that was to be sent could not be read
	}
	cause := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err
	}
	if n, ok := errors.AsType[*net.OpError](cause); ok && n.Op == "dial" {
		cause = n.Err
	}
	if errno, ok := errors.AsType[syscall.Errno](cause); ok {
		cause = errno
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the server at %s did not answer in time: %w", cl.base, context.DeadlineExceeded)
	}
	return fmt.Errorf("cannot reach Tocsin at %s: %w; is `tocsin serve` running? TOCSIN_URL says where", cl.base, cause)
}

// domain is the error that the problem was made from.
func (p *Problem) domain() *notice.Error {
	e := &notice.Error{Code: p.Code, Message: p.Detail, Drift: p.Changed, Check: p.Check}
	if len(p.Errors) == 1 {
		e.Field, e.Message = p.Errors[0].Field, p.Errors[0].Message
	}
	return e
}
