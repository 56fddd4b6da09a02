package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

type health struct {
	Status string `json:"status"`
}

// describeProcess registers the routes for orchestrators and monitoring, and documents those that huma does not serve.
func (s *Server) describeProcess(api huma.API) {
	open := []map[string][]string{}
	register(s, api, huma.Operation{OperationID: "healthz", Method: http.MethodGet, Path: "/healthz", Security: open,
		Summary: "The process lives", Tags: []string{"process"}},
		func(context.Context, *struct{}) (*answer[health], error) { return ok(health{"ok"}, nil) })
	register(s, api, huma.Operation{OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Security: open,
		Summary: "The server reaches all that it needs", Tags: []string{"process"}}, s.readiness, http.StatusServiceUnavailable)

	metrics := &huma.Operation{OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Summary: "Metrics in Prometheus' format",
		Tags: []string{"process"}, Security: []map[string][]string{{"token": {}}},
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}}}
	document(api, metrics, []int{http.StatusUnauthorized})
	api.OpenAPI().AddOperation(metrics)
	api.OpenAPI().AddOperation(&huma.Operation{OperationID: "openapi", Method: http.MethodGet, Path: "/openapi.json", Summary: "This document",
		Tags: []string{"process"}, Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}}}})
}

func (s *Server) readiness(ctx context.Context, _ *struct{}) (*answer[health], error) {
	select {
	case <-s.stopping:
		return nil, plain(http.StatusServiceUnavailable, "shutting down")
	default:
	}
	if s.ready != nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := s.ready(ctx); err != nil {
			s.log.Warn("not ready", slog.String("error", scrub(err.Error())))
			if why, ok := errors.AsType[notice.Unready](err); ok {
				return nil, plain(http.StatusServiceUnavailable, "not ready: "+scrub(why.Error()))
			}
			return nil, plain(http.StatusServiceUnavailable, "not ready: the log says why")
		}
	}
	return ok(health{"ok"}, nil)
}
