package oidc_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/oidc"
	"tocsin/internal/testkit"
)

// authorize is a person who signs in at the URL, and returns with a code.
func authorize(t *testing.T, at string) oidc.Back {
	t.Helper()
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil || !strings.HasPrefix(to.String(), "https://tocsin.example.net/sign-in/oidc/back?") {
		t.Fatalf("the issuer sends people back to %v: %v", to, err)
	}
	return oidc.Back{State: to.Query().Get("state"), Code: to.Query().Get("code")}
}

func client(p *testkit.Issuer, change ...func(*oidc.Settings)) *oidc.Client {
	s := oidc.Settings{Issuer: p.URL, Client: "tocsin", Scopes: []string{"openid"}, Claim: "roles", Back: "https://tocsin.example.net/sign-in/oidc/back"}
	for _, c := range change {
		c(&s)
	}
	return oidc.New(s)
}

func TestAPersonComesBackWithARole(t *testing.T) {
	t.Parallel()
	p := testkit.NewIssuer(t)
	for name, test := range map[string]struct {
		roles map[string]notice.TokenRole
		claim any
		want  notice.TokenRole
	}{
		"a role":                 {nil, "sender", "sender"},
		"the highest of a list":  {nil, []string{"viewer", "approver", "sender"}, "approver"},
		"a value that is mapped": {map[string]notice.TokenRole{"sre": "admin"}, []string{"sre", "viewer"}, "admin"},
	} {
		p.Change = func(c map[string]any) { c["roles"] = test.claim }
		c := client(p, func(s *oidc.Settings) { s.Roles = test.roles })
		try, at, err := c.Begin("/acts")
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Finish(t.Context(), try, authorize(t, at))
		if want := (oidc.Person{Subject: "sub-1", Name: "ada", Role: test.want}); err != nil || got != want || try.Next != "/acts" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestASignInThatIsNotToBe(t *testing.T) {
	t.Parallel()
	p := testkit.NewIssuer(t)
	c := client(p)
	for name, test := range map[string]struct {
		claims map[string]any // nil value: the claim is missing
		try    func(*oidc.Try)
		back   func(*oidc.Back)
		reason string
	}{
		"a wrong nonce":             {claims: map[string]any{"nonce": "another"}, reason: oidc.ReasonToken},
		"no nonce":                  {claims: map[string]any{"nonce": nil}, reason: oidc.ReasonToken},
		"for another client":        {claims: map[string]any{"aud": "another"}, reason: oidc.ReasonToken},
		"of another issuer":         {claims: map[string]any{"iss": "https://evil.example"}, reason: oidc.ReasonToken},
		"expired":                   {claims: map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, reason: oidc.ReasonToken},
		"an unknown role":           {claims: map[string]any{"roles": []string{"root"}}, reason: oidc.ReasonRole},
		"a machine's role":          {claims: map[string]any{"roles": "metrics"}, reason: oidc.ReasonRole},
		"no role":                   {claims: map[string]any{"roles": nil}, reason: oidc.ReasonRole},
		"a claim of another form":   {claims: map[string]any{"roles": map[string]any{"viewer": true}}, reason: oidc.ReasonRole},
		"a name that does not fit":  {claims: map[string]any{"preferred_username": "Ada Lovelace"}, reason: oidc.ReasonName},
		"the name of Tocsin itself": {claims: map[string]any{"preferred_username": "tocsin"}, reason: oidc.ReasonName},
		"another state":             {back: func(b *oidc.Back) { b.State = "another" }, reason: oidc.ReasonState},
		"no state at all":           {try: func(t *oidc.Try) { *t = oidc.Try{} }, back: func(b *oidc.Back) { b.State = "" }, reason: oidc.ReasonState},
		"another verifier":          {try: func(t *oidc.Try) { t.Verifier = strings.Repeat("x", 43) }, reason: oidc.ReasonIssuer},
		"a code of nobody":          {back: func(b *oidc.Back) { b.Code = "guessed" }, reason: oidc.ReasonIssuer},
		"the person said no":        {back: func(b *oidc.Back) { b.Error = "access_denied" }, reason: oidc.ReasonIssuer},
	} {
		p.Change = func(c map[string]any) { maps.Copy(c, test.claims) }
		try, at, err := c.Begin("/")
		if err != nil {
			t.Fatal(err)
		}
		back := authorize(t, at)
		if test.try != nil {
			test.try(&try)
		}
		if test.back != nil {
			test.back(&back)
		}
		got, err := c.Finish(t.Context(), try, back)
		if refused, ok := errors.AsType[*oidc.Refused](err); !ok || refused.Reason != test.reason {
			t.Errorf("%s: %+v, %v; want it refused because of %s", name, got, err, test.reason)
		}
	}
}

func TestACodeIsTakenOnce(t *testing.T) {
	t.Parallel()
	p := testkit.NewIssuer(t)
	c := client(p)
	try, at, err := c.Begin("/")
	if err != nil {
		t.Fatal(err)
	}
	back := authorize(t, at)
	if _, err := c.Finish(t.Context(), try, back); err != nil {
		t.Fatal(err)
	}
	_, err = c.Finish(t.Context(), try, back)
	if refused, ok := errors.AsType[*oidc.Refused](err); !ok || refused.Reason != oidc.ReasonIssuer {
		t.Errorf("the same code again: %v", err)
	}
}

func TestAnIssuerMayBeAwayAndComeBack(t *testing.T) {
	t.Parallel()
	p := testkit.NewIssuer(t)
	away := client(p, func(s *oidc.Settings) { s.Issuer = "http://127.0.0.1:1" })
	if _, _, err := away.Begin("/"); err == nil {
		t.Error("an issuer that is away begins a sign-in")
	} else if _, refused := errors.AsType[*oidc.Refused](err); refused {
		t.Errorf("the person is to blame: %v", err)
	}
	if f := away.Check(); f.Count(notice.LevelError) != 1 {
		t.Errorf("check of an issuer that is away: %v", f)
	}
	if f := client(p).Check(); f.Count(notice.LevelError)+f.Count(notice.LevelWarning) != 0 || len(f) != 1 {
		t.Errorf("check of an issuer: %v", f)
	}
	if f := client(p, func(s *oidc.Settings) { s.Issuer += "/" }).Check(); f.Count(notice.LevelError) != 1 {
		t.Errorf("check of an issuer that calls itself otherwise: %v", f)
	}
}
