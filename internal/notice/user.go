package notice

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// User is a person who uses the console. Their name is in the log as a token's is.
type User struct {
	Name       string     `json:"name"`
	Role       TokenRole  `json:"role"`     // viewer, sender, approver or admin
	Password   bool       `json:"password"` // they have one here
	Issuer     string     `json:"issuer"`   // the OpenID Connect issuer through which they sign in; "" = they have an account here
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	SignedInAt *time.Time `json:"signed_in_at"` // null: never
	RemovedBy  string     `json:"removed_by"`
	RemovedAt  *time.Time `json:"removed_at"` // null: they were not
}

// PeopleRoles are the roles that a person can have.
var PeopleRoles = []TokenRole{RoleViewer, RoleSender, RoleApprover, RoleAdmin}

// Check returns an error where the name or the role of a person who is to be added is wrong.
func (u User) Check() error {
	if err := checkActorName(u.Name); err != nil {
		return err
	}
	return CheckPeopleRole(u.Role)
}

// CheckPeopleRole reports that a role is none of PeopleRoles.
func CheckPeopleRole(r TokenRole) error {
	if !slices.Contains(PeopleRoles, r) {
		return Invalid("role", "is not viewer, sender, approver or admin")
	}
	return nil
}

// Session is a stay of a person in the console, from a sign-in to a sign-out.
type Session struct {
	User
	BeganAt time.Time
	SeenAt  time.Time // to the minute
	Origin  string    // the address that it began from
}

type pressKey struct{}

type press struct{ who, origin string }

// WithPress returns a context in which that actor acts, from that network address.
func WithPress(ctx context.Context, who, origin string) context.Context {
	return context.WithValue(ctx, pressKey{}, press{who, origin})
}

// Pressed is the actor of ctx, and the network address that they act from: System, and "", where nobody acts.
func Pressed(ctx context.Context) (who, origin string) {
	p, _ := ctx.Value(pressKey{}).(press)
	return cmp.Or(p.who, System), p.origin
}

// Origin is the network address that acts come from, "" for Tocsin itself.
func Origin(ctx context.Context) string {
	_, from := Pressed(ctx)
	return from
}
