package main

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/notice"
)

type tokensCmd struct {
	Add    tokensAddCmd    `cmd:"" help:"Make a token, and show it this once."`
	List   tokensListCmd   `cmd:"" help:"List the tokens, revoked ones too."`
	Revoke tokensRevokeCmd `cmd:"" help:"End a token for ever."`
}

type tokensAddCmd struct {
	remote
	Name    string           `arg:"" help:"Of the person or the service that uses it: it stands in the log."`
	Role    notice.TokenRole `required:"" placeholder:"ROLE" help:"viewer, sender, approver or admin; metrics or bounces for a machine."`
	Expires string           `placeholder:"TIME" help:"When it ends: 2027-01-31, 2027-01-31T12:00 or 720h from now (never)."`
	JSON    bool             `name:"json" help:"Print a JSON document."`
}

// Run prints the token alone to stdout, so that it can go into a file.
func (c *tokensAddCmd) Run(ctx context.Context, a *app) error {
	var expires *time.Time
	if c.Expires != "" {
		t, err := instant(c.Expires, time.Now())
		if err != nil {
			return usage(fmt.Errorf("--expires %w", err))
		}
		expires = &t
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	t, err := client.AddToken(ctx, c.Name, c.Role, expires)
	if err != nil {
		return fmt.Errorf("add the token: %w", err)
	}
	if c.JSON {
		return document(a.stdout, t)
	}
	sentence(a.stderr, "The token of %s (%s) is shown this once, and ends: %s. Its holder sets it as TOCSIN_TOKEN.", shown(t.Name), t.Role, orNever(t.ExpiresAt))
	_, err = fmt.Fprintln(a.stdout, t.Secret)
	return err
}

// instant reads a time of the clock here, with or without an offset, or a length of time from now.
func instant(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2027-01-31, 2027-01-31T12:00, 2027-01-31T12:00:00Z or 720h", text)
}

func orNever(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return day(t)
}

type tokensListCmd struct {
	remote
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (c *tokensListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, err := client.Tokens(ctx)
	if err != nil {
		return fmt.Errorf("list the tokens: %w", err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"tokens": append([]notice.Token{}, all...)})
	}
	if len(all) == 0 {
		sentence(a.stdout, "No token was added. TOCSIN_TOKEN of serve, where it is set, may do everything.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "NAME\tROLE\tADDED\tENDS\tBY")
	for _, token := range all {
		ends := orNever(token.ExpiresAt)
		if token.RevokedAt != nil {
			ends = "revoked " + day(token.RevokedAt)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", shown(token.Name), token.Role, day(&token.CreatedAt), ends, shown(token.CreatedBy))
	}
	return t.Flush()
}

type tokensRevokeCmd struct {
	remote
	Name string `arg:"" help:"The token's name."`
	JSON bool   `name:"json" help:"Print a JSON document."`
}

func (c *tokensRevokeCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	t, err := client.RevokeToken(ctx, c.Name)
	if err != nil {
		return fmt.Errorf("revoke the token: %w", err)
	}
	if c.JSON {
		return document(a.stdout, t)
	}
	sentence(a.stdout, "The token of %s was revoked at %s by %s.", shown(t.Name), when(t.RevokedAt), shown(t.RevokedBy))
	return nil
}
