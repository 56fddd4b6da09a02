package api

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/console"
	"tocsin/internal/hook"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// withKeys adds the fake's tokens to those of the settings: one for each role, which is the token too.
func withKeys(t *testing.T, change ...func(*Options)) *bundle {
	t.Helper()
	var b *bundle
	b = setup(t, append(change, func(o *Options) {
		o.Keys = func(ctx context.Context) ([]ledger.Key, error) { return b.Keys(ctx) }
		withConsole(o)
	})...)
	for _, role := range notice.TokenRoles {
		b.keys = append(b.keys, ledger.Key{Token: notice.Token{Name: "a-" + string(role), Role: role}, Hash: sha256.Sum256([]byte(role))})
	}
	return b
}

// withConsole adds the pages for people.
func withConsole(o *Options) {
	o.Console = console.New(console.Options{Book: o.Book.(*fake), Desk: o.Desk.(console.Desk), Log: o.Log})
}

func TestEveryRouteHasALeastRole(t *testing.T) {
	t.Parallel()
	open := NewPublic(Options{Log: slog.New(slog.DiscardHandler)}, &hook.Hooks{}, nil).mux.patterns
	patterns := slices.Sorted(slices.Values(append(open, withKeys(t).server.mux.patterns...)))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(leastRole)), patterns); diff != "" {
		t.Errorf("the table of roles (-) is not what is served (+): %s", diff)
	}
}

// TestTheDocumentNamesTheRoutesWithoutAToken: one that is open to everybody is said to be.
func TestTheDocumentNamesTheRoutesWithoutAToken(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "### Routes without a token")
	table, _, found := strings.Cut(section, "\n\n`tocsin tokens")
	for route, role := range leastRole {
		if named := strings.Contains(table, "`"+route+"`"); !found || named != (role == anyone) {
			t.Errorf("%s is for %q, and the section of docs/api.md names it: %t", route, role, named)
		}
	}
}

// covered says which roles may use a route, by its least role: written out, so that Covers is tested too.
var covered = map[notice.TokenRole]string{
	anyone:              "viewer sender approver admin metrics bounces",
	notice.RoleMetrics:  "viewer sender approver admin metrics",
	notice.RoleViewer:   "viewer sender approver admin",
	notice.RoleSender:   "sender approver admin",
	notice.RoleApprover: "approver admin",
	notice.RoleAdmin:    "admin",
	notice.RoleBounces:  "admin bounces",
}

func TestARouteIsForItsRolesAlone(t *testing.T) {
	t.Parallel()
	b := withKeys(t)
	hole := regexp.MustCompile(`\{[^}]*\}`)
	for _, pattern := range b.server.mux.patterns {
		method, path, _ := strings.Cut(pattern, " ")
		path = hole.ReplaceAllString(strings.TrimSuffix(path, "{$}"), "7")
		may := strings.Fields(covered[leastRole[pattern]])
		for _, role := range notice.TokenRoles {
			resp, text := b.send(t, method, path, "", "Authorization", "Bearer "+string(role))
			if refused := resp.StatusCode == http.StatusForbidden; refused == slices.Contains(may, string(role)) || resp.StatusCode == http.StatusUnauthorized {
				t.Errorf("%s as %s: status %d: %s", pattern, role, resp.StatusCode, text)
			}
		}
		if resp, _ := b.send(t, method, path, "", "Authorization", ""); (resp.StatusCode == http.StatusUnauthorized) != (leastRole[pattern] != anyone) {
			t.Errorf("%s without a token: status %d", pattern, resp.StatusCode)
		}
	}
}

func TestARouteThatNobodyListedIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.mux.HandleFunc("GET /v1/forgotten", func(http.ResponseWriter, *http.Request) {})
	if resp, text := b.send(t, "GET", "/v1/forgotten", ""); resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d: %s", resp.StatusCode, text)
	}
}

// TestEveryRouteByEveryRoleAndMethod asks for each path with each method: as nobody, with a token of each role, and as a person of each
// role who has signed in.
func TestEveryRouteByEveryRoleAndMethod(t *testing.T) {
	t.Parallel()
	b := withKeys(t)
	b.users = []notice.User{{Name: "ada"}}
	hole := regexp.MustCompile(`\{[^}]*\}`)
	paths := map[string]bool{}
	for _, pattern := range b.server.mux.patterns {
		_, path, _ := strings.Cut(pattern, " ")
		paths[hole.ReplaceAllString(strings.TrimSuffix(path, "{$}"), "7")] = true
	}
	for path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			_, pattern := b.server.mux.Handler(httptest.NewRequest(method, path, nil))
			least, served := leastRole[pattern], pattern != ""
			judge := func(who string, role notice.TokenRole, header ...string) {
				resp, _ := b.send(t, method, path, "", append([]string{"Authorization", ""}, header...)...)
				var ok bool
				switch got := resp.StatusCode; {
				case role == anyone && !b.server.open(path):
					ok = got == http.StatusUnauthorized
				case !served:
					ok = got == http.StatusMethodNotAllowed
				case least == anyone || slices.Contains(strings.Fields(covered[least]), string(role)):
					ok = got != http.StatusUnauthorized && got != http.StatusForbidden && got != http.StatusMethodNotAllowed
				default:
					ok = got == http.StatusForbidden
				}
				if !ok {
					t.Errorf("%s %s as %s: status %d", method, path, who, resp.StatusCode)
				}
			}
			judge("nobody", anyone)
			for _, role := range notice.TokenRoles {
				judge("a token of role "+string(role), role, "Authorization", "Bearer "+string(role))
			}
			for _, role := range notice.PeopleRoles {
				b.users = []notice.User{{Name: "ada", Role: role}}
				judge("a person of role "+string(role), role, "Cookie", "tocsin="+session)
			}
		}
	}
}

func TestABrowserIsAskedToSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t, withConsole)
	b.client.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, want := range map[string]string{
		"/":                "/sign-in",
		"/notices/k?x=1":   "/sign-in?next=%2Fnotices%2Fk%3Fx%3D1",
		"/nowhere":         "/sign-in?next=%2Fnowhere",
		"/v1/notices":      "/sign-in?next=%2Fv1%2Fnotices",
		"/access":          "/sign-in?next=%2Faccess",
		"/sign-in/../acts": "/sign-in?next=%2Fsign-in%2F..%2Facts",
	} {
		resp, text := b.send(t, "GET", path, "", "Authorization", "", "Accept", "text/html,*/*")
		if path == "/sign-in/../acts" {
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("a detour: status %d", resp.StatusCode)
			}
			continue
		}
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != want {
			t.Errorf("%s: status %d to %s, want %s: %s", path, resp.StatusCode, resp.Header.Get("Location"), want, text)
		}
	}
}

func TestAPageOfAnotherSiteMovesNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, withConsole)
	b.users = []notice.User{{Name: "ada", Role: notice.RoleAdmin}}
	for _, tt := range []struct {
		method, path, site string
		refused            bool
	}{
		{"POST", "/access/users/ada/role", "cross-site", true},
		{"POST", "/v1/notices/k/pause", "cross-site", true},
		{"POST", "/notices/k/mails/7/another", "cross-site", true},
		{"POST", "/sign-in", "cross-site", true},
		{"POST", "/v1/notices/k/pause", "same-site", true},
		{"POST", "/access/users/ada/role", "same-origin", false},
		{"GET", "/", "cross-site", false}, // a link
	} {
		resp, text := b.send(t, tt.method, tt.path, "", "Authorization", "", "Cookie", "tocsin="+session, "Sec-Fetch-Site", tt.site)
		if (resp.StatusCode == http.StatusForbidden) != tt.refused {
			t.Errorf("%s %s from %s: status %d: %s", tt.method, tt.path, tt.site, resp.StatusCode, text)
		}
	}
}

func TestPagesAreKeptToThisServer(t *testing.T) {
	t.Parallel()
	b := setup(t, withConsole)
	for _, path := range []string{"/", "/sign-in", "/nowhere", "/queues"} {
		resp, text := b.send(t, "GET", path, "", "Accept", "text/html")
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
			resp.Header.Get("Referrer-Policy") == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the header is %v", path, resp.Header)
		}
		if inline := regexp.MustCompile(`(?i)<script(?: [^>]*)?>[^<]|\son[a-z]+=|\sstyle=|javascript:`).FindString(text); inline != "" {
			t.Errorf("%s has an inline script or style: %s", path, inline)
		}
	}
}

// TestARefusalSaysWhereTheRoleComesFrom: a person who signed in has no token.
func TestARefusalSaysWhereTheRoleComesFrom(t *testing.T) {
	t.Parallel()
	b := withKeys(t)
	b.users = []notice.User{{Name: "vic", Role: notice.RoleViewer}}
	for _, as := range []struct{ name, value, want string }{
		{"Authorization", "Bearer viewer", "this token's role is viewer, and this wants admin"},
		{"Cookie", "tocsin=" + session, "your role is viewer, and this wants admin"},
	} {
		header := []string{"Authorization", "", as.name, as.value}
		if as.name == "Authorization" {
			header = header[2:]
		}
		if resp, text := b.send(t, http.MethodGet, "/v1/tokens", "", header...); resp.StatusCode != http.StatusForbidden || !strings.Contains(text, as.want) {
			t.Errorf("by %s: status %d, %s", as.name, resp.StatusCode, text)
		}
	}
}
