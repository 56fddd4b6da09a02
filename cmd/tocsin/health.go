package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthCmd is for the health checks of containers: their image has no shell and no curl.
type healthCmd struct {
	URL string `arg:"" help:"Such as http://127.0.0.1:8080/healthz."`
}

// Run succeeds if the URL answers with 200 within five seconds.
func (c *healthCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return usage(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", c.URL, resp.Status)
	}
	return nil
}
