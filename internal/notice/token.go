package notice

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strings"
	"time"
)

// TokenRole is how much a token may do at the API.
type TokenRole string

// The roles. Of the people's, each may do all that the one before it may.
const (
	RoleViewer   TokenRole = "viewer"   // read everything
	RoleSender   TokenRole = "sender"   // draft, test, send and stop notices; keep customers
	RoleApprover TokenRole = "approver" // let go of notices that are held, and decide about single deliveries
	RoleAdmin    TokenRole = "admin"    // everything, tokens too

	RoleMetrics TokenRole = "metrics" // a machine that reads /metrics
	RoleBounces TokenRole = "bounces" // a machine that hands in bounces
)

// TokenRoles are all of them.
var TokenRoles = []TokenRole{RoleViewer, RoleSender, RoleApprover, RoleAdmin, RoleMetrics, RoleBounces}

// ladder holds the roles of people; each covers those before it.
var ladder = []TokenRole{RoleMetrics, RoleViewer, RoleSender, RoleApprover, RoleAdmin}

// Covers reports whether a token with the role may do the acts that ask for the role least.
func (r TokenRole) Covers(least TokenRole) bool {
	own, asked := slices.Index(ladder, r), slices.Index(ladder, least)
	return r == least || r == RoleAdmin && slices.Contains(TokenRoles, least) || asked >= 0 && own >= asked
}

// Token is a bearer token of the API as the ledger keeps it: not the token itself.
type Token struct {
	Name      string     `json:"name"`
	Role      TokenRole  `json:"role"`
	CreatedBy string     `json:"created_by"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"` // null: never
	RevokedBy string     `json:"revoked_by"`
	RevokedAt *time.Time `json:"revoked_at"` // null: it was not
}

// The names that no token may have.
const (
	System      = "tocsin"       // acts where nobody did
	Reader      = "reader"       // of a mail, who stopped others like it
	FixedToken  = "TOCSIN_TOKEN" // the token of the settings
	NoToken     = "api"          // anybody on this machine, where there is no token at all
	tokenNaming = "letters, digits, dots, hyphens, underscores and @, at most 64, a letter or a digit first"
)

var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// Check returns an error where the name, the role or the end of a token that is to be added now is wrong.
func (t Token) Check(now time.Time) error {
	if err := checkActorName(t.Name); err != nil {
		return err
	}
	switch {
	case !slices.Contains(TokenRoles, t.Role):
		return Invalid("role", "is not viewer, sender, approver, admin, metrics or bounces")
	case t.ExpiresAt != nil && !t.ExpiresAt.After(now):
		return Invalid("expires_at", "is not in the future")
	}
	return nil
}

// checkActorName reports why a token or a person can't have that name.
func checkActorName(name string) error {
	switch {
	case !tokenName.MatchString(name):
		return Invalid("name", "is not a name of %s", tokenNaming)
	case slices.ContainsFunc([]string{System, Reader, FixedToken, NoToken}, func(taken string) bool { return strings.EqualFold(name, taken) }):
		return Invalid("name", "%s stands for something else in the log: take another name", name)
	}
	return nil
}

// Act is an entry of the log: a decision of an operator, or of Tocsin itself.
type Act struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`    // the name of a token or a person; "tocsin" where nobody acted
	Note   string    `json:"note"`   // what the client called the person, "" for nothing
	What   string    `json:"what"`   // such as "release"
	Notice string    `json:"notice"` // the key of the notice that it is about, "" for none
	Detail string    `json:"detail"`
	Origin string    `json:"origin"` // the network address that it came from, "" for Tocsin itself and for acts of before
}

// ActPage asks for a page of the log, the newest first.
type ActPage struct {
	Before int64     // only those with a smaller number; 0 = all
	Notice string    // only those about the notice with this key or number; "" = all
	Who    string    // only those of the token or the person with this name, in any case; "" = all
	What   string    // only acts of this kind, such as "release"; "" = all
	Since  time.Time // only those at this time or later; zero = all
	Limit  int
}

// Actor is the name of a token and a note about the person who used it, as one text: "oncall (ada@laptop)". A name has no
// parentheses, so that no note can pass for one.
func Actor(name, note string) string {
	if note == "" {
		return name
	}
	return name + " (" + note + ")"
}

// SplitActor is the reverse of Actor.
func SplitActor(who string) (name, note string) {
	name, note, ok := strings.Cut(who, " (")
	if !ok || !strings.HasSuffix(note, ")") {
		return who, ""
	}
	return name, strings.TrimSuffix(note, ")")
}

// NewTokenSecret returns the text of a new token. Its beginning lets people, and programs that look for secrets in files, recognise it.
func NewTokenSecret() string { return "tocsin_" + rand.Text() }
