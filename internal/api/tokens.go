package api

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// FreshToken is a token that was just made, with its text, which is shown this once.
type FreshToken struct {
	notice.Token
	Secret string `json:"token" doc:"the token itself; it is not kept"`
}

type (
	tokenList struct {
		Tokens []notice.Token `json:"tokens"`
	}
	tokenBody struct {
		Name      string           `json:"name" doc:"of a person or a service; it stands in the log, and is never used again"`
		Role      notice.TokenRole `json:"role" enum:"viewer,sender,approver,admin,metrics,bounces"`
		ExpiresAt *time.Time       `json:"expires_at,omitempty" doc:"absent: never"`
	}
)

// access is an operation about tokens and people, and their roles.
func access(id, method, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"access"}}
}

func (s *Server) describeAccess(api huma.API) {
	register(s, api, access("list-tokens", http.MethodGet, "/v1/tokens", "The tokens, revoked ones too; never the secrets"),
		func(ctx context.Context, _ *struct{}) (*answer[tokenList], error) {
			all, err := s.book.Tokens(ctx)
			return ok(tokenList{orEmpty(all)}, err)
		})
	add := access("add-token", http.MethodPost, "/v1/tokens", "Make a token; the answer is the only place where it is shown")
	add.DefaultStatus = http.StatusCreated
	register(s, api, add, s.addToken, 400, 409, 413, 415, 422)
	register(s, api, access("revoke-token", http.MethodPost, "/v1/tokens/{name}/revoke", "End a token for ever"),
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (*answer[notice.Token], error) {
			defer s.keys.stale()
			return ok(s.book.RevokeToken(ctx, in.Name, requestOf(ctx).who))
		}, 404)
	s.describeActs(api)
}

func (s *Server) addToken(ctx context.Context, in *struct{ Body tokenBody }) (*answer[FreshToken], error) {
	t := notice.Token{Name: in.Body.Name, Role: in.Body.Role, ExpiresAt: inUTC(in.Body.ExpiresAt)}
	if err := t.Check(time.Now()); err != nil {
		return nil, err
	}
	secret := notice.NewTokenSecret()
	kept, err := s.book.AddToken(ctx, t, sha256.Sum256([]byte(secret)), requestOf(ctx).who)
	s.keys.stale()
	return created(FreshToken{kept, secret}, err)
}

// Tokens returns the tokens, revoked ones too.
func (cl *Client) Tokens(ctx context.Context) ([]notice.Token, error) {
	var list tokenList
	err := cl.do(ctx, call{method: http.MethodGet, path: "/v1/tokens", again: untilReached}, &list)
	return list.Tokens, err
}

// AddToken makes a token of that name and role; expires is nil for one that does not end.
func (cl *Client) AddToken(ctx context.Context, name string, role notice.TokenRole, expires *time.Time) (t FreshToken, err error) {
	body := tokenBody{Name: name, Role: role, ExpiresAt: expires}
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/tokens", body: body}, &t)
	return t, err
}

// RevokeToken ends a token for ever.
func (cl *Client) RevokeToken(ctx context.Context, name string) (t notice.Token, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/tokens/" + url.PathEscape(name) + "/revoke"}, &t)
	return t, err
}
