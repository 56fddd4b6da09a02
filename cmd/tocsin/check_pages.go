package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"tocsin/internal/config"
	"tocsin/internal/notice"
	"tocsin/internal/optout"
)

// pagesWait is how long a page may take to come.
const pagesWait = 5 * time.Second

// leastLinks is the least time for which the link that stops a reader's mails should lead to its page.
const leastLinks = 60 * 24 * time.Hour

// checkPages tries the address of the pages on which readers stop advisories and post-mortems.
func checkPages(ctx context.Context, set config.Serve) (f notice.Findings) {
	base := set.Mail.PublicURL
	if base == "" {
		f.OK("TOCSIN_PUBLIC_URL is not set: advisories and post-mortems do not say how to unsubscribe")
		return f
	}
	if set.Public.Listen == "" {
		f.Warning("set TOCSIN_PUBLIC_LISTEN for serve, and have a proxy pass https on to it", "TOCSIN_PUBLIC_URL is set and TOCSIN_PUBLIC_LISTEN is not: unless another serve has it, links in mails lead nowhere")
	}
	if !strings.HasPrefix(base, "https://") {
		f.Warning("take a URL that begins with https://", "mail programs offer one click (RFC 8058) for https alone, and TOCSIN_PUBLIC_URL has none")
	}
	if set.Retention > 0 && set.Retention < leastLinks {
		f.Warning("keep rows for 60 days or more", "links in mails lead nowhere once TOCSIN_RETENTION has dropped their rows")
	}
	ctx, cancel := context.WithTimeout(ctx, pagesWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/u/check", nil)
	if err != nil {
		return append(f, wrongSetting(notice.Invalid("TOCSIN_PUBLIC_URL", "is no URL"))...)
	}
	// A mail provider follows no redirect either (RFC 8058 §3.1).
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	const advice = "serve with TOCSIN_PUBLIC_LISTEN answers it, without a redirect, behind a proxy that passes /u/ on"
	resp, err := client.Do(req)
	if err != nil {
		f.Warning(advice, "%s can't be reached from here: %v", base, err)
		return f
	}
	resp.Body.Close()
	if !optout.IsPage(resp.Header) {
		f.Warning(advice, "%s/u/… is answered by something else (%s)", base, resp.Status)
		return f
	}
	f.OK("readers reach their pages at %s/u/…", base)
	return f
}
