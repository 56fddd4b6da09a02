package notice

import (
	"context"
	"strings"
	"time"
)

// AwaitedApproval is a release that waits for another person. It falls with its plan.
type AwaitedApproval struct {
	Plan       string    `json:"plan"`       // the digest of the plan that was shown
	Recipients int       `json:"recipients"` // to be mailed; of an audience that is resolved at sending the most that may be
	From       int       `json:"from"`       // from so many on another person has to approve
	AskedBy    string    `json:"asked_by"`
	AskedAt    time.Time `json:"asked_at"`
	Allow      []string  `json:"allow,omitempty"`  // the checks that are overruled, by name
	Canary     int       `json:"canary,omitempty"` // how many mailboxes it goes to first; 0 = none, and it goes to all at once
}

// Approving says which plan goes, in the name of another person than the authors of the notice.
type Approving struct {
	Plan     string
	Allow    []string // the checks that are overruled, on top of those that the request for the release overruled
	Override string   // why it goes without another person, in an emergency; "" = another person approves
}

// mostOverride bounds the reason of an override, in bytes.
const mostOverride = 500

// Check returns an error that says how an approval is wrong, nil for a right one.
func (a Approving) Check() error {
	switch {
	case a.Plan == "":
		return Invalid("plan", "is missing: the digest of the plan that was shown; the notice's status has that which waits (awaiting_approval)")
	case a.Override != "" && strings.TrimSpace(a.Override) == "":
		return Invalid("override", "is blank: say why no other person can approve it")
	case len(a.Override) > mostOverride || strings.ContainsAny(a.Override, "\r\n"):
		return Invalid("override", "is not one line of at most %d bytes", mostOverride)
	}
	return nil
}

type personKey struct{}

// WithPerson returns a context in which the person, or the service, with that name acts: that of their own token or account.
func WithPerson(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, personKey{}, name)
}

// Person is the name of the person or service that acts in ctx; "" for nobody in particular: the fixed token, or none at all.
func Person(ctx context.Context) string {
	name, _ := ctx.Value(personKey{}).(string)
	return name
}
