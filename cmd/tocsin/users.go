package main

import (
	"context"
	"fmt"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type usersCmd struct {
	Add    usersAddCmd    `cmd:"" help:"Add a person to the console, and show a link that lets them in once."`
	List   usersListCmd   `cmd:"" help:"List the people, removed ones too."`
	Link   usersLinkCmd   `cmd:"" help:"Show another link that lets a person in once."`
	Role   usersRoleCmd   `cmd:"" help:"Give a person another role."`
	Remove usersRemoveCmd `cmd:"" help:"Let a person in no more."`
}

type usersAddCmd struct {
	remote
	Name string           `arg:"" help:"Of the person: it stands in the log."`
	Role notice.TokenRole `required:"" placeholder:"ROLE" help:"viewer, sender, approver or admin."`
	JSON bool             `name:"json" help:"Print a JSON document."`
}

// Run prints the link alone to stdout.
func (c *usersAddCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	i, err := client.AddUser(ctx, c.Name, c.Role)
	if err != nil {
		return fmt.Errorf("add the person: %w", err)
	}
	return a.invited(i, c.JSON)
}

// invited shows a link that lets a person in.
func (a *app) invited(i api.Invitation, asJSON bool) error {
	if asJSON {
		return document(a.stdout, i)
	}
	sentence(a.stderr, "This link lets %s (%s) into the console once, until %s.", shown(i.Name), i.Role, when(&i.ExpiresAt))
	_, err := fmt.Fprintln(a.stdout, i.Link)
	return err
}

type usersLinkCmd struct {
	remote
	Name string `arg:"" help:"Of the person."`
	JSON bool   `name:"json" help:"Print a JSON document."`
}

// Run prints the link alone to stdout.
func (c *usersLinkCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	i, err := client.AddLink(ctx, c.Name)
	if err != nil {
		return fmt.Errorf("make a link: %w", err)
	}
	return a.invited(i, c.JSON)
}

type usersListCmd struct {
	remote
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (c *usersListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, err := client.Users(ctx)
	if err != nil {
		return fmt.Errorf("list the people: %w", err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"users": append([]notice.User{}, all...)})
	}
	if len(all) == 0 {
		sentence(a.stdout, "Nobody was added to the console: tocsin users add NAME --role admin does.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "NAME\tROLE\tADDED\tSIGNED IN\tBY")
	for _, u := range all {
		last := orNever(u.SignedInAt)
		if u.RemovedAt != nil {
			last = "removed " + day(u.RemovedAt)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", shown(u.Name), u.Role, day(&u.CreatedAt), last, shown(u.CreatedBy))
	}
	return t.Flush()
}

type usersRoleCmd struct {
	remote
	Name string           `arg:"" help:"Of the person."`
	Role notice.TokenRole `arg:"" help:"viewer, sender, approver or admin."`
	JSON bool             `name:"json" help:"Print a JSON document."`
}

func (c *usersRoleCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	u, err := client.SetUserRole(ctx, c.Name, c.Role)
	if err != nil {
		return fmt.Errorf("change the role: %w", err)
	}
	if c.JSON {
		return document(a.stdout, u)
	}
	sentence(a.stdout, "The role of %s is %s.", shown(u.Name), u.Role)
	return nil
}

type usersRemoveCmd struct {
	remote
	Name string `arg:"" help:"Of the person."`
	JSON bool   `name:"json" help:"Print a JSON document."`
}

func (c *usersRemoveCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	u, err := client.RemoveUser(ctx, c.Name)
	if err != nil {
		return fmt.Errorf("remove the person: %w", err)
	}
	if c.JSON {
		return document(a.stdout, u)
	}
	sentence(a.stdout, "%s was removed at %s by %s, and is signed out.", shown(u.Name), when(u.RemovedAt), shown(u.RemovedBy))
	return nil
}
