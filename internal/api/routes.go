package api

import (
	"fmt"
	"net/http"

	"tocsin/internal/notice"
)

// anyone is the least role of a route that wants no token.
const anyone = notice.TokenRole("")

// leastRole says for each route the least role that may use it. A route that is not here is refused to everybody.
var leastRole = map[string]notice.TokenRole{
	"GET /healthz":      anyone,
	"GET /readyz":       anyone,
	"GET /openapi.json": anyone,

	"GET /assets/{file}": anyone,
	"GET /sign-in":       anyone,
	"POST /sign-in":      anyone,
	"GET /sign-in/link":  anyone,
	"POST /sign-in/link": anyone,

	"GET /sign-in/oidc":      anyone,
	"GET /sign-in/oidc/back": anyone,

	"GET /{$}":                             notice.RoleViewer,
	"GET /now":                             notice.RoleViewer,
	"GET /notices/{id}":                    notice.RoleViewer,
	"GET /notices/{id}/mails":              notice.RoleViewer,
	"POST /notices/{id}/mails":             notice.RoleViewer,
	"GET /notices/{id}/again":              notice.RoleViewer,
	"GET /incidents/{id}":                  notice.RoleViewer,
	"GET /notices/{id}/mails/{seq}":        notice.RoleViewer,
	"GET /notices/{id}/mails/{seq}/html":   notice.RoleViewer,
	"GET /notices/{id}/mails/{seq}/source": notice.RoleViewer,

	"POST /notices/{id}/mails/{seq}/another": notice.RoleSender,
	"GET /compose":                           notice.RoleSender,
	"POST /compose":                          notice.RoleSender,
	"POST /compose/import":                   notice.RoleSender,
	"GET /compose/{draft}":                   notice.RoleSender,
	"POST /compose/{draft}":                  notice.RoleSender,
	"GET /compose/{draft}/audience":          notice.RoleSender,
	"POST /compose/{draft}/preview":          notice.RoleSender,
	"POST /compose/{draft}/file":             notice.RoleSender,
	"GET /compose/{draft}/export":            notice.RoleSender,
	"POST /compose/{draft}/delete":           notice.RoleSender,
	"POST /notices/{id}/release":             notice.RoleSender,

	"POST /notices/{id}/pause":   notice.RoleSender,
	"POST /notices/{id}/resume":  notice.RoleSender,
	"GET /notices/{id}/check":    notice.RoleSender,
	"POST /notices/{id}/check":   notice.RoleSender,
	"GET /notices/{id}/cancel":   notice.RoleSender,
	"POST /notices/{id}/cancel":  notice.RoleSender,
	"POST /notices/{id}/approve": notice.RoleApprover,

	"GET /search":            notice.RoleViewer,
	"POST /search":           notice.RoleViewer,
	"GET /acts":              notice.RoleViewer,
	"GET /queues":            notice.RoleViewer,
	"GET /account":           notice.RoleViewer,
	"POST /account/password": notice.RoleViewer,
	"POST /sign-out":         notice.RoleViewer,

	"GET /settings":                      notice.RoleViewer,
	"GET /templates":                     notice.RoleViewer,
	"GET /templates/example":             notice.RoleViewer,
	"GET /suppressions":                  notice.RoleViewer,
	"POST /suppressions/find":            notice.RoleViewer,
	"POST /suppressions":                 notice.RoleSender,
	"POST /suppressions/{number}/remove": notice.RoleApprover,

	"GET /access":                       notice.RoleAdmin,
	"POST /access/users":                notice.RoleAdmin,
	"POST /access/users/{name}/link":    notice.RoleAdmin,
	"POST /access/users/{name}/role":    notice.RoleAdmin,
	"POST /access/users/{name}/remove":  notice.RoleAdmin,
	"POST /access/tokens":               notice.RoleAdmin,
	"POST /access/tokens/{name}/revoke": notice.RoleAdmin,

	"POST /hooks/{provider}": anyone, // of the public server alone, where a signature admits
	"GET /u/{token}":         anyone, // the same
	"POST /u/{token}":        anyone,

	"GET /metrics":     notice.RoleMetrics,
	"POST /v1/bounces": notice.RoleBounces,

	"GET /v1/acts":                      notice.RoleViewer,
	"GET /v1/attributes":                notice.RoleViewer,
	"GET /v1/customer-faults":           notice.RoleViewer,
	"GET /v1/customers":                 notice.RoleViewer,
	"POST /v1/customers/find":           notice.RoleViewer,
	"POST /v1/customers/history":        notice.RoleViewer,
	"POST /v1/search":                   notice.RoleViewer,
	"GET /v1/customers/{id}":            notice.RoleViewer,
	"GET /v1/customers/{id}/deliveries": notice.RoleViewer,
	"GET /v1/holds":                     notice.RoleViewer,
	"GET /v1/incidents/{id}/report":     notice.RoleViewer,
	"GET /v1/limits":                    notice.RoleViewer,
	"GET /v1/notices":                   notice.RoleViewer,
	"GET /v1/notices/{id}":              notice.RoleViewer,
	"GET /v1/notices/{id}/deliveries":   notice.RoleViewer,
	"GET /v1/notices/{id}/planning":     notice.RoleViewer,
	"GET /v1/notices/{id}/report":       notice.RoleViewer,
	"GET /v1/notices/{id}/uncertain":    notice.RoleViewer,
	"GET /v1/relays":                    notice.RoleViewer,
	"GET /v1/suppressions":              notice.RoleViewer,
	"GET /v1/webhooks":                  notice.RoleViewer,

	"GET /v1/webhooks/{name}/messages/{number}": notice.RoleViewer,

	"GET /v1/notices/{id}/deliveries/{seq}/message": notice.RoleViewer,

	"POST /v1/customers/import":       notice.RoleSender,
	"PUT /v1/customers/{id}":          notice.RoleSender,
	"PATCH /v1/customers/{id}":        notice.RoleSender,
	"POST /v1/holds":                  notice.RoleSender,
	"PUT /v1/limits/{domain}":         notice.RoleSender,
	"DELETE /v1/limits/{domain}":      notice.RoleSender,
	"POST /v1/notices":                notice.RoleSender,
	"POST /v1/notices/preview":        notice.RoleSender,
	"POST /v1/notices/test":           notice.RoleSender,
	"POST /v1/notices/{id}/preview":   notice.RoleSender,
	"POST /v1/notices/{id}/release":   notice.RoleSender,
	"POST /v1/notices/{id}/pause":     notice.RoleSender,
	"POST /v1/notices/{id}/resume":    notice.RoleSender,
	"POST /v1/notices/{id}/cancel":    notice.RoleSender,
	"POST /v1/notices/{id}/send-now":  notice.RoleSender,
	"POST /v1/notices/{id}/move":      notice.RoleSender,
	"POST /v1/notices/{id}/take-back": notice.RoleSender,

	"POST /v1/notices/{id}/add-address": notice.RoleSender,

	"DELETE /v1/notices/{id}":        notice.RoleSender,
	"POST /v1/relays/{name}/rest":    notice.RoleSender,
	"POST /v1/relays/{name}/resume":  notice.RoleSender,
	"POST /v1/suppressions":          notice.RoleSender,
	"POST /v1/suppressions/import":   notice.RoleSender,
	"POST /v1/webhooks/{name}/test":  notice.RoleSender,
	"POST /v1/webhooks/{name}/retry": notice.RoleSender,

	"POST /v1/relayed": notice.RoleApprover,

	"DELETE /v1/customers/{id}":        notice.RoleApprover,
	"POST /v1/holds/{number}/remove":   notice.RoleApprover,
	"POST /v1/notices/{id}/approve":    notice.RoleApprover,
	"POST /v1/notices/{id}/unhold":     notice.RoleApprover,
	"POST /v1/notices/{id}/settle":     notice.RoleApprover,
	"POST /v1/notices/{id}/reconcile":  notice.RoleApprover,
	"POST /v1/suppressions/remove":     notice.RoleApprover,
	"DELETE /v1/suppressions/{number}": notice.RoleApprover,

	"GET /v1/users":                notice.RoleAdmin,
	"POST /v1/users":               notice.RoleAdmin,
	"POST /v1/users/{name}/link":   notice.RoleAdmin,
	"POST /v1/users/{name}/role":   notice.RoleAdmin,
	"POST /v1/users/{name}/remove": notice.RoleAdmin,

	"GET /v1/tokens":                notice.RoleAdmin,
	"POST /v1/tokens":               notice.RoleAdmin,
	"POST /v1/tokens/{name}/revoke": notice.RoleAdmin,
}

// routes is a mux that knows its patterns.
type routes struct {
	*http.ServeMux
	patterns []string
}

// Handle registers a handler, as http.ServeMux does.
func (m *routes) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

// HandleFunc registers a handler, as http.ServeMux does.
func (m *routes) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(h))
}

// permit returns why the one who asks may not use a route, nil if they may.
func permit(who caller, pattern string) *Problem {
	least, listed := leastRole[pattern]
	switch {
	case listed && (least == anyone || who.role.Covers(least)):
		return nil
	case !listed:
		return plain(http.StatusForbidden, "no role may do this")
	}
	return plain(http.StatusForbidden, fmt.Sprintf("%s is %s, and this wants %s", who.has(), who.role, least))
}
