package console

import (
	"math"
	"net/http"
	"net/url"
	"strings"

	"tocsin/internal/notice"
)

// signInView is the page on which people sign in.
type signInView struct {
	*Frame
	User   string
	Next   string // the path to go on to
	Wrong  string // why the last try failed
	Token  string // of a link that lets in once; "" = the page asks for a password
	Issuer string // at which people can sign in too; "" = none
	Expose bool   // the page came without TLS to an address that others reach: the cookie would not be kept
}

func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "sign_in", c.signInView(r, "sign_in.title"))
}

func (c *Console) signInView(r *http.Request, title string) *signInView {
	v := &signInView{Frame: c.frame(r, title), Next: local(r.FormValue("next"))}
	if c.OIDC != nil {
		v.Issuer = c.OIDC.Issuer
	}
	v.Expose = !plainLoopback(r) && r.TLS == nil && r.Header.Get("X-Forwarded-Proto") == "" && !strings.HasPrefix(c.URL, "https://")
	return v
}

// local returns a path of this server, "/" for everything else: nobody is sent elsewhere after a sign-in.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

func (c *Console) signInByPassword(w http.ResponseWriter, r *http.Request) {
	v := c.signInView(r, "sign_in.title")
	v.User = strings.TrimSpace(r.PostFormValue("user"))
	_, origin := notice.Pressed(r.Context())
	if wait := c.guesses.begin(v.User, origin); wait > 0 {
		v.Wrong = v.T("sign_in.too_many", int(math.Ceil(wait.Minutes())))
		c.refused(r, "password", "too_many")
		c.render(w, r, http.StatusTooManyRequests, "sign_in", v)
		return
	}
	hash, err := c.Book.Password(r.Context(), v.User)
	if err != nil {
		c.guesses.right(v.User, origin)
		c.fail(w, r, err)
		return
	}
	if !isPassword(r.PostFormValue("password"), hash) {
		v.Wrong = v.T("sign_in.wrong")
		c.refused(r, "password", "wrong")
		c.render(w, r, http.StatusUnprocessableEntity, "sign_in", v)
		return
	}
	c.guesses.right(v.User, origin)
	secret := newSecret()
	if _, err := c.Book.BeginSession(r.Context(), v.User, sum(secret), "password"); err != nil {
		c.fail(w, r, err)
		return
	}
	keepSession(w, r, secret)
	http.Redirect(w, r, v.Next, http.StatusSeeOther)
}

// showLink shows a button: programs that look at links before people do would use the link up.
func (c *Console) showLink(w http.ResponseWriter, r *http.Request) {
	v := c.signInView(r, "sign_in.title")
	v.Token = r.FormValue("token")
	c.render(w, r, http.StatusOK, "sign_in", v)
}

func (c *Console) signInByLink(w http.ResponseWriter, r *http.Request) {
	secret := newSecret()
	u, err := c.Book.TakeLink(r.Context(), sum(r.PostFormValue("token")), sum(secret))
	if notice.CodeOf(err) == notice.CodeNotFound {
		v := c.signInView(r, "sign_in.title")
		v.Wrong = v.T("sign_in.bad_link")
		c.refused(r, "link", "used_or_expired")
		c.render(w, r, http.StatusUnprocessableEntity, "sign_in", v)
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	keepSession(w, r, secret)
	next := "/"
	if !u.Password {
		next = "/account"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	if err := c.Book.EndSession(r.Context(), sum(sessionOf(r))); err != nil {
		c.fail(w, r, err)
		return
	}
	keepSession(w, r, "")
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// accountView is the page of one's own account.
type accountView struct {
	*Frame
	Session notice.Session
	Wrong   string
	Done    bool
}

func (c *Console) account(w http.ResponseWriter, r *http.Request) {
	v, ok := c.accountView(w, r)
	if ok {
		v.Done = r.FormValue("done") != ""
		c.render(w, r, http.StatusOK, "account", v)
	}
}

// accountView is of the session that r shows: one who came without has no account.
func (c *Console) accountView(w http.ResponseWriter, r *http.Request) (v *accountView, ok bool) {
	v = &accountView{Frame: c.frame(r, "account.title")}
	var err error
	if v.Session, err = c.Book.Session(r.Context(), sum(sessionOf(r)), c.Idle); err != nil && notice.CodeOf(err) != notice.CodeNotFound {
		c.fail(w, r, err)
		return nil, false
	}
	return v, true
}

func (c *Console) setPassword(w http.ResponseWriter, r *http.Request) {
	v, ok := c.accountView(w, r)
	if !ok {
		return
	}
	password := r.PostFormValue("password")
	if v.Session.Name == "" || v.Session.Issuer != "" || checkPassword(password) != nil {
		v.Wrong = v.T("account.refused")
		c.render(w, r, http.StatusUnprocessableEntity, "account", v)
		return
	}
	if _, err := c.Book.SetPassword(r.Context(), v.Session.Name, hashPassword(password), sum(sessionOf(r))); err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/account?done=1", http.StatusSeeOther)
}
