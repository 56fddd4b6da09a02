package api

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		o.Queues = http.NotFoundHandler()
	})...)
	for _, role := range notice.TokenRoles {
		b.keys = append(b.keys, ledger.Key{Token: notice.Token{Name: "a-" + string(role), Role: role}, Hash: sha256.Sum256([]byte(role))})
	}
	return b
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
		path = hole.ReplaceAllString(path, "7")
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
