package send

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// mechanism is a way to log in (RFC 4954).
type mechanism struct {
	name string
	auth func(r Relay, secret string) smtp.Auth
}

// mechanisms are those that are known here, the strongest first. The secret is a password, of the last an access token.
var mechanisms = []mechanism{
	{"SCRAM-SHA-256", func(r Relay, secret string) smtp.Auth { return smtp.ScramSHA256Auth(r.User, secret) }},
	{"SCRAM-SHA-1", func(r Relay, secret string) smtp.Auth { return smtp.ScramSHA1Auth(r.User, secret) }},
	{"CRAM-MD5", func(r Relay, secret string) smtp.Auth { return smtp.CRAMMD5Auth(r.User, secret) }},
	{"PLAIN", func(r Relay, secret string) smtp.Auth { return smtp.PlainAuth("", r.User, secret, r.Host, true) }},
	{"LOGIN", func(r Relay, secret string) smtp.Auth { return smtp.LoginAuth(r.User, secret, r.Host, true) }},
	{xoauth2, func(r Relay, secret string) smtp.Auth { return smtp.XOAuth2Auth(r.User, secret) }},
}

const xoauth2 = "XOAUTH2"

// authFailure says why no mechanism led to a login.
type authFailure struct {
	offered []string // by the relay
	tried   []error
}

func (e *authFailure) Error() string {
	if len(e.tried) == 0 {
		return "AUTH: the relay offers no mechanism that can be used here: " + strings.Join(e.offered, " ")
	}
	return errors.Join(e.tried...).Error()
}

// refused reports whether some mechanism was refused with one of the codes, and with which.
func (e *authFailure) refused(codes ...int) (code int, ok bool) {
	for _, err := range e.tried {
		if r, isReply := errors.AsType[*refusal](err); isReply && slices.Contains(codes, r.code) {
			return r.code, true
		}
	}
	return 0, false
}

// authenticate logs in where the relay has a user. It tries the strongest mechanism first. It goes on to the next where
// the relay offers one that it can't use: many list all that their library knows.
func (c *conn) authenticate(ctx context.Context) error {
	r := c.relay
	if r.User == "" {
		return nil
	}
	if err := exposed(c.raw.RemoteAddr(), c.secure, c.unverified); err != nil {
		return err
	}
	secret, err := r.secret(ctx)
	if err != nil {
		return fmt.Errorf("AUTH: %w", err)
	}
	failure := &authFailure{offered: strings.Fields(strings.ToUpper(c.offered["AUTH"]))}
	for _, m := range r.mechanisms() {
		if !slices.Contains(failure.offered, m.name) {
			continue
		}
		err := c.login(m.auth(r.Relay, secret))
		if err == nil {
			return nil
		}
		failure.tried = append(failure.tried, err)
		if !another(err) {
			break
		}
	}
	r.forgetToken(secret)
	return failure
}

// exposed says why a password must not be sent to a relay. It is safe only under TLS with a certificate that verifies,
// or on this machine.
func exposed(relay net.Addr, secure bool, unverified error) error {
	if tcp, ok := relay.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	switch {
	case !secure:
		return errOpenLine
	case unverified != nil:
		return fmt.Errorf("%w: %w", errUnverified, unverified)
	}
	return nil
}

var (
	errOpenLine   = errors.New("AUTH: the password is not sent over a connection without TLS")
	errUnverified = errors.New("AUTH: the password is not sent to a relay whose certificate does not verify")
)

// mechanisms are those that the relay may be logged in to with, in the order in which they are tried.
func (r *relayState) mechanisms() (known []mechanism) {
	if len(r.Auth) == 0 {
		return slices.DeleteFunc(slices.Clone(mechanisms), func(m mechanism) bool { return (m.name == xoauth2) != r.hasToken() })
	}
	for _, name := range r.Auth {
		i := slices.IndexFunc(mechanisms, func(m mechanism) bool { return m.name == strings.ToUpper(name) })
		if i >= 0 {
			known = append(known, mechanisms[i])
		}
	}
	return known
}

// errChallenge is wrapped where the relay asks for something that the mechanism does not know.
var errChallenge = errors.New("its challenge is not understood")

// login carries out the exchange of one mechanism.
func (c *conn) login(auth smtp.Auth) error {
	name, first, err := auth.Start(&smtp.ServerInfo{Name: c.relay.Host, TLS: c.secure})
	if err != nil {
		return fmt.Errorf("AUTH: %w", err)
	}
	step := "AUTH " + name
	line := strings.TrimSpace(step + " " + base64.StdEncoding.EncodeToString(first))
	for {
		var said string
		rep, err := c.ask(line, func(text string) { said += text })
		switch {
		case err != nil:
			return &silence{step, err}
		case rep.code == 235:
			return nil
		case rep.code != 334:
			return &refusal{step, rep}
		}
		var next []byte
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(said))
		if err == nil {
			next, err = auth.Next(challenge, true)
		}
		if err != nil {
			if _, gone := c.ask("*", nil); gone != nil { // takes the exchange back
				return &silence{step, gone}
			}
			return fmt.Errorf("%s: %w", step, errChallenge)
		}
		line = base64.StdEncoding.EncodeToString(next)
	}
}

// another reports whether, after a mechanism has failed, the next may do. The relay can't use it just now (454), does
// not know it (501, 504), finds it too weak (534), or has no such password for it (535): that may be kept for others
// alone.
func another(err error) bool {
	if r, ok := errors.AsType[*refusal](err); ok {
		return slices.Contains([]int{454, 501, 504, 534, 535}, r.code)
	}
	return errors.Is(err, errChallenge)
}
