package main

import (
	"fmt"
	"log/slog"

	"tocsin/internal/config"
	"tocsin/internal/trace"
)

// tracing returns the tracer of a command, nil where the settings name no collector.
func tracing(command string, set config.Traces, logger *slog.Logger) (*trace.Tracer, error) {
	if set.URL == "" {
		return nil, nil
	}
	t, err := trace.New(trace.Options{URL: set.URL, Every: set.Every, Service: "tocsin-" + command, Instance: processName(), Version: version(), Logger: logger})
	if err != nil {
		return nil, usage(fmt.Errorf("TOCSIN_OTLP_URL: %w", err))
	}
	return t, nil
}
