// Package oidc lets people sign in at an OpenID Connect issuer, with the code flow and PKCE (RFC 7636).
//
// A Client begins a sign-in and finishes it. It exchanges the code, verifies the ID token, and takes the person's name
// and role from claims. It keeps nothing; the caller holds a Try in a cookie between the two steps.
package oidc

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"tocsin/internal/notice"
)

// patience is how long an issuer may take to answer.
const patience = 10 * time.Second

// rest is how long an issuer that is away is not asked again: people would wait in line for it.
const rest = 5 * time.Second

// Settings say how people sign in.
type Settings struct {
	Issuer string // URL
	Client string // id of Tocsin at the issuer
	Secret string // of Tocsin at the issuer; "" = a public client, which PKCE alone protects
	Scopes []string
	Claim  string // of the ID token, which has a role, or a list of them
	// Roles are the roles by values of the claim; a value that is not there means nothing. nil = values are roles
	// themselves.
	Roles map[string]notice.TokenRole
	Back  string // URL to which the issuer sends people back
}

// Client is Tocsin at an issuer. The issuer may be away when it is made.
type Client struct {
	Settings
	http *http.Client

	mu    sync.Mutex
	found *oidc.Provider // nil until the issuer answered
	away  error          // of the last try to ask it
	until time.Time      // when it is asked again
}

// New returns a client.
func New(s Settings) *Client { return &Client{Settings: s, http: &http.Client{Timeout: patience}} }

// Try is a sign-in under way. Nobody else may learn of it.
type Try struct {
	State, Nonce, Verifier string
	Next                   string // where the person wanted to go
}

// Person is a person as the issuer names them.
type Person struct {
	Subject string
	Name    string
	Role    notice.TokenRole
}

// Refused is an error of a sign-in that is not to be: its Reason is one of the constants.
type Refused struct {
	Reason string
	Err    error
}

// Why a sign-in is refused.
const (
	ReasonState  = "state"  // it did not begin in this browser, or was finished before
	ReasonIssuer = "issuer" // the issuer says so, of the person or of the code
	ReasonToken  = "token"  // the ID token is not for this sign-in
	ReasonRole   = "role"   // the person has no role here
	ReasonName   = "name"   // the person has no name that fits
)

func (e *Refused) Error() string { return fmt.Sprintf("sign-in refused (%s): %v", e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *Refused) Unwrap() error { return e.Err }

// provider asks the issuer, once, for its addresses.
func (c *Client) provider() (*oidc.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil {
		if time.Now().Before(c.until) {
			return nil, c.away
		}
		// Not the context of a request: it is kept for the keys that come later.
		found, err := oidc.NewProvider(oidc.ClientContext(context.Background(), c.http), c.Issuer)
		if err != nil {
			c.away, c.until = fmt.Errorf("ask the issuer %s: %w", c.Issuer, err), time.Now().Add(rest)
			return nil, c.away
		}
		c.found = found
	}
	return c.found, nil
}

func (c *Client) oauth(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: c.Settings.Client, ClientSecret: c.Secret, Endpoint: p.Endpoint(), RedirectURL: c.Back, Scopes: c.Scopes}
}

// Begin returns a new try, and the URL of the issuer at which the person goes on.
func (c *Client) Begin(next string) (t Try, url string, err error) {
	p, err := c.provider()
	if err != nil {
		return t, "", err
	}
	t = Try{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next}
	return t, c.oauth(p).AuthCodeURL(t.State, oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)), nil
}

// Back is the query with which the issuer sent the person back.
type Back struct{ State, Code, Error string }

// Finish returns the person of a try. Its error is a *Refused, or says that the issuer can't be asked.
func (c *Client) Finish(ctx context.Context, t Try, b Back) (Person, error) {
	switch {
	case t.State == "" || subtle.ConstantTimeCompare([]byte(t.State), []byte(b.State)) != 1:
		return Person{}, &Refused{ReasonState, errors.New("this sign-in did not begin in this browser, or has ended")}
	case b.Error != "":
		return Person{}, &Refused{ReasonIssuer, errors.New(b.Error)}
	}
	p, err := c.provider()
	if err != nil {
		return Person{}, err
	}
	ctx = oidc.ClientContext(ctx, c.http)
	token, err := c.oauth(p).Exchange(ctx, b.Code, oauth2.VerifierOption(t.Verifier))
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return Person{}, &Refused{ReasonIssuer, fmt.Errorf("the code: %s", cmp.Or(e.ErrorCode, e.Response.Status))}
	}
	if err != nil {
		return Person{}, fmt.Errorf("exchange the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: c.Settings.Client}).Verify(ctx, raw)
	if err != nil {
		return Person{}, &Refused{ReasonToken, err}
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1 {
		return Person{}, &Refused{ReasonToken, errors.New("the nonce is of another sign-in")}
	}
	return c.person(id)
}

// person reads the claims of an ID token that was verified.
func (c *Client) person(id *oidc.IDToken) (p Person, err error) {
	var all map[string]json.RawMessage
	if err := id.Claims(&all); err != nil {
		return p, &Refused{ReasonToken, err}
	}
	p = Person{Subject: id.Subject, Role: c.role(values(all[c.Claim]))}
	if p.Role == "" {
		return p, &Refused{ReasonRole, fmt.Errorf("the claim %s names no role", c.Claim)}
	}
	for _, claim := range []string{"preferred_username", "email", "name"} {
		if all := values(all[claim]); len(all) == 1 && p.Name == "" {
			p.Name = all[0]
		}
	}
	p.Name = cmp.Or(p.Name, id.Subject)
	if err := (notice.User{Name: p.Name, Role: p.Role}).Check(); err != nil {
		return p, &Refused{ReasonName, err}
	}
	return p, nil
}

// values are the texts of a claim, which is one text or a list.
func values(claim json.RawMessage) (all []string) {
	var one string
	if json.Unmarshal(claim, &one) == nil {
		return []string{one}
	}
	if json.Unmarshal(claim, &all) != nil {
		return nil
	}
	return all
}

// role is the highest of the roles that the values of the claim mean, "" for none.
func (c *Client) role(values []string) (role notice.TokenRole) {
	for _, value := range values {
		r := notice.TokenRole(value)
		if c.Roles != nil {
			r = c.Roles[value]
		}
		if slices.Contains(notice.PeopleRoles, r) && (role == "" || r.Covers(role)) {
			role = r
		}
	}
	return role
}

// Check reports whether people can sign in at the issuer.
func (c *Client) Check() (f notice.Findings) {
	p, err := c.provider()
	if err != nil {
		f.Error("TOCSIN_OIDC_ISSUER is the URL below which /.well-known/openid-configuration lies, as the issuer itself writes it", "%v", err)
		return f
	}
	var offers struct {
		Methods []string `json:"code_challenge_methods_supported"`
		Claims  []string `json:"claims_supported"`
	}
	if err := p.Claims(&offers); err == nil {
		if len(offers.Methods) > 0 && !slices.Contains(offers.Methods, "S256") {
			f.Warning("have the issuer offer PKCE with S256", "the issuer offers no PKCE with S256")
		}
		if len(offers.Claims) > 0 && !slices.Contains(offers.Claims, c.Claim) {
			f.Warning("see that ID tokens have it: then people have a role", "the issuer does not list the claim %s", c.Claim)
		}
	}
	f.OK("people sign in at %s; it has to know %s as the place to send them back to", c.Issuer, c.Back)
	return f
}
