package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// SignInPath is where the console takes the secret of a one-time sign-in link, as its query parameter token.
const SignInPath = "/sign-in/link"

// linkLasts is how long a sign-in link can be used.
const linkLasts = 24 * time.Hour

// Invitation is a person with a link that lets them in once.
type Invitation struct {
	notice.User
	Link      string    `json:"link" doc:"shown this once; from the root of this server on where TOCSIN_CONSOLE_URL is not set"`
	ExpiresAt time.Time `json:"expires_at"`
}

type (
	userList struct {
		Users []notice.User `json:"users"`
	}
	userBody struct {
		Name string           `json:"name" doc:"it stands in the log, and is never used again"`
		Role notice.TokenRole `json:"role" enum:"viewer,sender,approver,admin"`
	}
	roleBody struct {
		Role notice.TokenRole `json:"role" enum:"viewer,sender,approver,admin"`
	}
	ofUser struct {
		Name string `path:"name"`
	}
)

func (s *Server) describeUsers(api huma.API) {
	register(s, api, access("list-users", http.MethodGet, "/v1/users", "The people who use the console, removed ones too"),
		func(ctx context.Context, _ *struct{}) (*answer[userList], error) {
			all, err := s.book.Users(ctx)
			return ok(userList{orEmpty(all)}, err)
		})
	add := access("add-user", http.MethodPost, "/v1/users", "Add a person to the console; the answer has a link that lets them in once")
	add.DefaultStatus = http.StatusCreated
	register(s, api, add, func(ctx context.Context, in *struct{ Body userBody }) (*answer[Invitation], error) {
		u := notice.User{Name: in.Body.Name, Role: in.Body.Role}
		if err := u.Check(); err != nil {
			return nil, err
		}
		if _, err := s.book.AddUser(ctx, u, requestOf(ctx).who); err != nil {
			return nil, err
		}
		return s.invite(ctx, u.Name)
	}, 400, 409, 413, 415, 422)
	link := access("add-sign-in-link", http.MethodPost, "/v1/users/{name}/link", "Make a link that lets a person in once; an earlier one ends")
	link.DefaultStatus = http.StatusCreated
	register(s, api, link, func(ctx context.Context, in *ofUser) (*answer[Invitation], error) {
		return s.invite(ctx, in.Name)
	}, 404, 409)
	register(s, api, access("set-user-role", http.MethodPost, "/v1/users/{name}/role", "Give a person another role"),
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
			Body roleBody
		}) (*answer[notice.User], error) {
			return ok(s.book.SetUserRole(ctx, in.Name, in.Body.Role, requestOf(ctx).who))
		}, 400, 404, 409, 413, 415, 422)
	register(s, api, access("remove-user", http.MethodPost, "/v1/users/{name}/remove", "Let a person in no more, and end their sessions"),
		func(ctx context.Context, in *ofUser) (*answer[notice.User], error) {
			return ok(s.book.RemoveUser(ctx, in.Name, requestOf(ctx).who))
		}, 404)
}

// invite makes a sign-in link for a person.
func (s *Server) invite(ctx context.Context, name string) (*answer[Invitation], error) {
	secret, until := rand.Text(), time.Now().Add(linkLasts).UTC()
	u, err := s.book.AddLink(ctx, name, sha256.Sum256([]byte(secret)), linkLasts, requestOf(ctx).who)
	return created(Invitation{u, s.consoleURL + SignInPath + "?token=" + secret, until}, err)
}

// Users returns the people who use the console, removed ones too.
func (cl *Client) Users(ctx context.Context) ([]notice.User, error) {
	var list userList
	err := cl.do(ctx, call{method: http.MethodGet, path: "/v1/users", again: untilReached}, &list)
	return list.Users, err
}

// AddUser adds a person to the console, with a link that lets them in once.
func (cl *Client) AddUser(ctx context.Context, name string, role notice.TokenRole) (Invitation, error) {
	return cl.invited(ctx, call{method: http.MethodPost, path: "/v1/users", body: userBody{name, role}})
}

// AddLink makes another link that lets a person in once.
func (cl *Client) AddLink(ctx context.Context, name string) (Invitation, error) {
	return cl.invited(ctx, call{method: http.MethodPost, path: "/v1/users/" + url.PathEscape(name) + "/link"})
}

func (cl *Client) invited(ctx context.Context, c call) (i Invitation, err error) {
	if err = cl.do(ctx, c, &i); err == nil && i.Link[0] == '/' {
		i.Link = cl.base + i.Link
	}
	return i, err
}

// SetUserRole gives a person another role.
func (cl *Client) SetUserRole(ctx context.Context, name string, role notice.TokenRole) (u notice.User, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/users/" + url.PathEscape(name) + "/role", body: roleBody{role}}, &u)
	return u, err
}

// RemoveUser lets a person in no more.
func (cl *Client) RemoveUser(ctx context.Context, name string) (u notice.User, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/users/" + url.PathEscape(name) + "/remove"}, &u)
	return u, err
}
