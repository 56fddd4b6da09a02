package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/hook"
)

// described holds the parts of the OpenAPI document that the tests look at.
type described struct {
	OpenAPI    string `json:"openapi"`
	Paths      map[string]map[string]operation
	Components struct {
		Schemas         map[string]map[string]any
		SecuritySchemes map[string]map[string]any
	}
}

type operation struct {
	OperationID string `json:"operationId"`
	Summary     string
	Security    []map[string][]string
	Servers     []struct{ Description string }
	Parameters  []struct{ Name, In string }
	Responses   map[string]struct{ Content map[string]any }
}

func documentOf(t *testing.T, b *bundle) (d described, text string) {
	t.Helper()
	resp, text := b.send(t, "GET", "/openapi.json", "", "Authorization", "")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, %v", resp.StatusCode, resp.Header)
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d, text
}

func TestTheDocumentNamesEveryRoute(t *testing.T) {
	t.Parallel()
	d, text := documentOf(t, setup(t))
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("openapi %q", d.OpenAPI)
	}
	var got []string
	for path, methods := range d.Paths {
		for method := range methods {
			got = append(got, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(got)
	want := []string{
		"DELETE /v1/customers/{id}",
		"DELETE /v1/limits/{domain}",
		"DELETE /v1/notices/{id}",
		"DELETE /v1/suppressions/{number}",
		"GET /healthz",
		"GET /metrics",
		"GET /openapi.json",
		"GET /readyz",
		"GET /u/{token}",
		"GET /v1/acts",
		"GET /v1/attributes",
		"GET /v1/customer-faults",
		"GET /v1/customers",
		"GET /v1/customers/{id}",
		"GET /v1/customers/{id}/deliveries",
		"GET /v1/holds",
		"GET /v1/incidents/{id}/report",
		"GET /v1/limits",
		"GET /v1/notices",
		"GET /v1/notices/{id}",
		"GET /v1/notices/{id}/deliveries",
		"GET /v1/notices/{id}/deliveries/{seq}/message",
		"GET /v1/notices/{id}/planning",
		"GET /v1/notices/{id}/report",
		"GET /v1/notices/{id}/uncertain",
		"GET /v1/relays",
		"GET /v1/suppressions",
		"GET /v1/tokens",
		"GET /v1/users",
		"GET /v1/webhooks",
		"GET /v1/webhooks/{name}/messages/{number}",
		"PATCH /v1/customers/{id}",
		"POST /hooks/{provider}",
		"POST /u/{token}",
		"POST /v1/bounces",
		"POST /v1/customers/find",
		"POST /v1/customers/history",
		"POST /v1/customers/import",
		"POST /v1/holds",
		"POST /v1/holds/{number}/remove",
		"POST /v1/notices",
		"POST /v1/notices/preview",
		"POST /v1/notices/test",
		"POST /v1/notices/{id}/add-address",
		"POST /v1/notices/{id}/approve",
		"POST /v1/notices/{id}/cancel",
		"POST /v1/notices/{id}/move",
		"POST /v1/notices/{id}/pause",
		"POST /v1/notices/{id}/preview",
		"POST /v1/notices/{id}/reconcile",
		"POST /v1/notices/{id}/release",
		"POST /v1/notices/{id}/resume",
		"POST /v1/notices/{id}/send-now",
		"POST /v1/notices/{id}/settle",
		"POST /v1/notices/{id}/take-back",
		"POST /v1/notices/{id}/unhold",
		"POST /v1/relayed",
		"POST /v1/relays/{name}/rest",
		"POST /v1/relays/{name}/resume",
		"POST /v1/search",
		"POST /v1/suppressions",
		"POST /v1/suppressions/import",
		"POST /v1/suppressions/remove",
		"POST /v1/tokens",
		"POST /v1/tokens/{name}/revoke",
		"POST /v1/users",
		"POST /v1/users/{name}/link",
		"POST /v1/users/{name}/remove",
		"POST /v1/users/{name}/role",
		"POST /v1/webhooks/{name}/retry",
		"POST /v1/webhooks/{name}/test",
		"PUT /v1/customers/{id}",
		"PUT /v1/limits/{domain}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if d.Components.Schemas[ref[1]] == nil {
			t.Errorf("no schema %s", ref[1])
		}
	}
	names := slices.Sorted(maps.Keys(d.Components.Schemas))
	for _, none := range []string{"ErrorModel", "ErrorDetail", "Body"} {
		if slices.Contains(names, none) {
			t.Errorf("schema %s among %v", none, names)
		}
	}
	if scheme := d.Components.SecuritySchemes["token"]; scheme["type"] != "http" || scheme["scheme"] != "bearer" {
		t.Errorf("security scheme %v", scheme)
	}
}

func TestEveryDocumentedRouteAnswersAsDocumented(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d, _ := documentOf(t, b)
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			if len(op.Servers) > 0 { // TestTheDocumentNamesTheRoutesOfThePublicServer
				continue
			}
			if op.OperationID == "" || op.Summary == "" || ids[op.OperationID] {
				t.Errorf("%s: operationId %q, summary %q", name, op.OperationID, op.Summary)
			}
			ids[op.OperationID] = true
			var params []string
			for _, p := range op.Parameters {
				params = append(params, p.In+" "+p.Name)
			}
			if strings.Contains(path, "{id}") && !slices.Contains(params, "path id") {
				t.Errorf("%s has the parameters %v", name, params)
			}
			if method != "get" && !slices.Contains(params, "header "+operatorHeader) {
				t.Errorf("%s has the parameters %v", name, params)
			}
			open := path == "/healthz" || path == "/readyz" || path == "/openapi.json"
			if (len(op.Security) == 0) != open {
				t.Errorf("%s: security %v", name, op.Security)
			}
			// Without the token an open route answers and any other one refuses; with it nothing is a missing route.
			target := strings.ReplaceAll(path, "{id}", "k")
			resp, text := b.send(t, strings.ToUpper(method), target, "", "Authorization", "")
			if (resp.StatusCode == http.StatusOK) != open {
				t.Errorf("%s without the token: status %d: %s", name, resp.StatusCode, text)
			}
			resp, text = b.send(t, strings.ToUpper(method), target, "")
			documented, ok := op.Responses[fmt.Sprint(resp.StatusCode)]
			if !ok || resp.StatusCode == http.StatusMethodNotAllowed {
				t.Errorf("%s: status %d is not documented: %s", name, resp.StatusCode, text)
			}
			media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
			if _, ok := documented.Content[media]; media != "" && !ok {
				t.Errorf("%s: %d as %s is not documented", name, resp.StatusCode, media)
			}
		}
	}
}

// TestTheDocumentNamesTheRoutesOfThePublicServer, which want no token and which the API does not serve.
func TestTheDocumentNamesTheRoutesOfThePublicServer(t *testing.T) {
	t.Parallel()
	b, send := public(t)
	d, _ := documentOf(t, b)
	var named []string
	for path, methods := range d.Paths {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			if len(op.Servers) == 0 {
				continue
			}
			named = append(named, name)
			if len(op.Security) > 0 || !strings.Contains(op.Servers[0].Description, "TOCSIN_PUBLIC_LISTEN") || op.OperationID == "" || op.Summary == "" {
				t.Errorf("%s: %+v", name, op)
			}
			for _, value := range []string{"good", "unknown", "away"} {
				for _, body := range []string{"", "List-Unsubscribe=One-Click", "topic=none&do=stop"} {
					target := strings.NewReplacer("{token}", value, "{provider}", value).Replace(path)
					resp, _ := send(strings.ToUpper(method), target, body, urlencoded)
					media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
					if content := op.Responses[fmt.Sprint(resp.StatusCode)].Content; content[media] == nil {
						t.Errorf("%s with %q: %d as %s is not documented", target, body, resp.StatusCode, media)
					}
				}
			}
			if resp, _ := b.send(t, strings.ToUpper(method), path, ""); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: the API answers %d", name, resp.StatusCode)
			}
		}
	}
	slices.Sort(named)
	served := slices.Sorted(slices.Values(NewPublic(Options{Log: slog.New(slog.DiscardHandler)}, &hook.Hooks{}, nil).mux.patterns))
	if diff := cmp.Diff(served, named); diff != "" {
		t.Errorf("served (-) and documented (+): %s", diff)
	}
}

func TestTheDocumentSaysWhatIsClosedAndWhatIsRequired(t *testing.T) {
	t.Parallel()
	d, _ := documentOf(t, setup(t))
	schemas := d.Components.Schemas
	if diff := cmp.Diff([]any{"key", "kind", "phase"}, schemas["Notice"]["required"]); diff != "" {
		t.Errorf("required of a notice (-want +got):\n%s", diff)
	}
	property := func(schema, name string) map[string]any {
		p, _ := schemas[schema]["properties"].(map[string]any)[name].(map[string]any)
		return p
	}
	if diff := cmp.Diff([]any{"outage", "maintenance", "advisory"}, property("Notice", "kind")["enum"]); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if states, _ := property("Delivery", "state")["enum"].([]any); len(states) != 9 {
		t.Errorf("states of a delivery: %v", states)
	}
	if got := property("Delivery", "customers")["type"]; got != "array" {
		t.Errorf("customers of a delivery: %v", got)
	}
	if schemas["CustomerInput"]["required"] != nil {
		t.Errorf("required of a customer: %v", schemas["CustomerInput"]["required"])
	}
}
