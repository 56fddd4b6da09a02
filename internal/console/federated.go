package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"tocsin/internal/notice"
	"tocsin/internal/oidc"
)

// tryCookie holds a sign-in at the issuer that is under way, for ten minutes. It goes back with the issuer's redirect, since that is a GET
// of the whole page (SameSite=Lax).
const (
	tryCookie = "tocsin-try"
	tryLasts  = 600 // seconds
)

// keepTry sets the cookie of a try; nil takes it away.
func keepTry(w http.ResponseWriter, r *http.Request, t *oidc.Try) {
	cookie := &http.Cookie{Name: "__Host-" + tryCookie, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1}
	if plainLoopback(r) {
		cookie.Name, cookie.Secure = tryCookie, false
	}
	if t != nil {
		text, _ := json.Marshal(t) // no error: texts alone
		cookie.Value, cookie.MaxAge = base64.RawURLEncoding.EncodeToString(text), tryLasts
	}
	http.SetCookie(w, cookie)
}

// tryOf is the try of a request, the zero Try where there is none.
func tryOf(r *http.Request) (t oidc.Try) {
	name := "__Host-" + tryCookie
	if plainLoopback(r) {
		name = tryCookie
	}
	cookie, err := r.Cookie(name)
	if err != nil {
		return t
	}
	if text, err := base64.RawURLEncoding.DecodeString(cookie.Value); err != nil || json.Unmarshal(text, &t) != nil {
		return oidc.Try{}
	}
	return t
}

// signInAtIssuer sends a person to the issuer.
func (c *Console) signInAtIssuer(w http.ResponseWriter, r *http.Request) {
	if c.OIDC == nil {
		c.fail(w, r, notice.NotFound("people do not sign in at an issuer here"))
		return
	}
	t, to, err := c.OIDC.Begin(local(r.FormValue("next")))
	if err != nil {
		c.refuseFederated(w, r, err)
		return
	}
	keepTry(w, r, &t)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// backFromIssuer begins a session of the person that the issuer names.
func (c *Console) backFromIssuer(w http.ResponseWriter, r *http.Request) {
	if c.OIDC == nil {
		c.fail(w, r, notice.NotFound("people do not sign in at an issuer here"))
		return
	}
	t := tryOf(r)
	keepTry(w, r, nil)
	p, err := c.OIDC.Finish(r.Context(), t, oidc.Back{State: r.FormValue("state"), Code: r.FormValue("code"), Error: r.FormValue("error")})
	secret := newSecret()
	if err == nil {
		_, err = c.Book.Federate(r.Context(), notice.User{Name: p.Name, Role: p.Role, Issuer: c.OIDC.Issuer}, p.Subject, sum(secret))
	}
	if err != nil {
		c.refuseFederated(w, r, err)
		return
	}
	keepSession(w, r, secret)
	http.Redirect(w, r, local(t.Next), http.StatusSeeOther)
}

// refuseFederated shows the page for signing in, and why there is no session.
func (c *Console) refuseFederated(w http.ResponseWriter, r *http.Request, err error) {
	v := c.signInView(r, "sign_in.title")
	status, reason := http.StatusServiceUnavailable, "away"
	v.Wrong = v.T("sign_in.issuer_away", c.OIDC.Issuer)
	if refused, ok := errors.AsType[*oidc.Refused](err); ok {
		status, reason = http.StatusForbidden, refused.Reason
		v.Wrong = v.T("sign_in.refused_" + reason)
	} else if code := notice.CodeOf(err); code == notice.CodeNotFound || code == notice.CodeConflict {
		status, reason = http.StatusForbidden, "person"
		v.Wrong = v.T("sign_in.refused_person")
	}
	c.refused(r, "oidc", reason, slog.Any("error", err))
	c.render(w, r, status, "sign_in", v)
}

// refused logs and counts a sign-in that was refused: of no name, which may be a password in the wrong field.
func (c *Console) refused(r *http.Request, how, reason string, more ...any) {
	_, origin := notice.Pressed(r.Context())
	c.Log.Warn("a sign-in is refused", append([]any{slog.String("how", how), slog.String("reason", reason), slog.String("origin", origin)}, more...)...)
	c.refusals.WithLabelValues(how, reason).Inc()
}
