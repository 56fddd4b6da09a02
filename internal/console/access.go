package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// linkLasts is how long a sign-in link can be used.
const linkLasts = 24 * time.Hour

// accessView is the people and the tokens, for an admin.
type accessView struct {
	*Frame
	Users  []notice.User
	Tokens []notice.Token
	Roles  []notice.TokenRole
	Link   string // that was just made, and is shown this once
	For    string // the person that it lets in

	TokenRoles []notice.TokenRole
	Token      string // that was just made, and is shown this once
	TokenOf    string // its name
}

func (c *Console) access(r *http.Request) (view, error) { return c.accessView(r) }

func (c *Console) accessView(r *http.Request) (v *accessView, err error) {
	v = &accessView{Frame: c.frame(r, "access.title"), Roles: notice.PeopleRoles, TokenRoles: notice.TokenRoles}
	if v.Users, err = c.Book.Users(r.Context()); err != nil {
		return nil, err
	}
	v.Tokens, err = c.Book.Tokens(r.Context())
	return v, err
}

func (c *Console) addUser(w http.ResponseWriter, r *http.Request) {
	u := notice.User{Name: strings.TrimSpace(r.PostFormValue("name")), Role: notice.TokenRole(r.PostFormValue("role"))}
	who, _ := notice.Pressed(r.Context())
	err := u.Check()
	if err == nil {
		_, err = c.Book.AddUser(r.Context(), u, who)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.invite(w, r, u.Name)
}

func (c *Console) addLink(w http.ResponseWriter, r *http.Request) {
	c.invite(w, r, r.PathValue("name"))
}

// invite shows a link that lets a person in once.
func (c *Console) invite(w http.ResponseWriter, r *http.Request, name string) {
	secret := newSecret()
	who, _ := notice.Pressed(r.Context())
	if _, err := c.Book.AddLink(r.Context(), name, sum(secret), linkLasts, who); err != nil {
		c.fail(w, r, err)
		return
	}
	v, err := c.accessView(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v.Link, v.For = c.base(r)+"/sign-in/link?token="+secret, name
	c.render(w, r, http.StatusOK, "access", v)
}

// base is where people reach the console.
func (c *Console) base(r *http.Request) string {
	switch {
	case c.URL != "":
		return c.URL
	case plainLoopback(r):
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

func (c *Console) setRole(w http.ResponseWriter, r *http.Request) {
	role := notice.TokenRole(r.PostFormValue("role"))
	c.change(w, r, func(who string) error {
		if err := notice.CheckPeopleRole(role); err != nil {
			return err
		}
		_, err := c.Book.SetUserRole(r.Context(), r.PathValue("name"), role, who)
		return err
	})
}

func (c *Console) removeUser(w http.ResponseWriter, r *http.Request) {
	c.change(w, r, func(who string) error {
		_, err := c.Book.RemoveUser(r.Context(), r.PathValue("name"), who)
		return err
	})
}

// addToken shows a token that it makes, this once.
func (c *Console) addToken(w http.ResponseWriter, r *http.Request) {
	t := notice.Token{Name: strings.TrimSpace(r.PostFormValue("name")), Role: notice.TokenRole(r.PostFormValue("role"))}
	who, _ := notice.Pressed(r.Context())
	zone := c.frame(r, "access.title").Zone
	if text := r.PostFormValue("expires"); text != "" {
		day, err := time.ParseInLocation(time.DateOnly, text, zone)
		if err != nil {
			c.fail(w, r, notice.Invalid("expires", "is no day such as 2027-01-31"))
			return
		}
		day = day.UTC()
		t.ExpiresAt = &day
	}
	secret := notice.NewTokenSecret()
	err := t.Check(time.Now())
	if err == nil {
		_, err = c.Book.AddToken(r.Context(), t, sum(secret), who)
	}
	var v *accessView
	if err == nil {
		v, err = c.accessView(r)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v.Token, v.TokenOf = secret, t.Name
	c.render(w, r, http.StatusOK, "access", v)
}

func (c *Console) revokeToken(w http.ResponseWriter, r *http.Request) {
	c.change(w, r, func(who string) error {
		_, err := c.Book.RevokeToken(r.Context(), r.PathValue("name"), who)
		return err
	})
}

// change carries out the wish of an admin, and shows the page again.
func (c *Console) change(w http.ResponseWriter, r *http.Request, do func(who string) error) {
	who, _ := notice.Pressed(r.Context())
	if err := do(who); err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/access", http.StatusSeeOther)
}

// numberIn is the number that a parameter is, 0 where it is none.
func numberIn(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
