package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"

	"tocsin/internal/api"
	"tocsin/internal/audience"
	"tocsin/internal/config"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/queue"
	"tocsin/internal/send"
)

type checkCmd struct {
	JSON bool `name:"json" help:"Print a JSON document."`
}

// Run tries everything that serve and work need, side by side, and fails if something is in the way of their work.
func (c *checkCmd) Run(ctx context.Context, a *app) error {
	return c.try(ctx, a, net.DefaultResolver)
}

func (c *checkCmd) try(ctx context.Context, a *app, dns *net.Resolver) error {
	findings := check(ctx, a.settings, dns)
	var err error
	if findings.Count(notice.LevelError) > 0 {
		err = errTold
	}
	if c.JSON {
		doc := struct {
			Findings notice.Findings `json:"findings"`
			Warnings int             `json:"warnings"`
			Errors   int             `json:"errors"`
		}{findings, findings.Count(notice.LevelWarning), findings.Count(notice.LevelError)}
		if failed := document(a.stdout, doc); failed != nil {
			return failed
		}
		return err
	}
	printFindings(a.stdout, findings, isTerminal(a.stdout))
	return err
}

// check tries each part that is set. A missing setting is a finding too.
func check(ctx context.Context, settings *config.Settings, dns *net.Resolver) (all notice.Findings) {
	work, err := settings.Work()
	serve, serveErr := settings.Serve()
	all = checkSettings(serve, err, serveErr)

	var parts parts
	if work.DatabaseURL != "" {
		parts = append(parts, part{"postgres", func() notice.Findings { return ledger.Check(ctx, work.DatabaseURL) }},
			part{"holds", func() notice.Findings { return ledger.CheckHolds(ctx, work.DatabaseURL, fileHolds(work.Holds)) }},
			part{"only_to", func() notice.Findings { return ledger.CheckOnlyTo(ctx, work.DatabaseURL, work.OnlyTo) }})
	}
	if work.RedisURL != "" {
		parts = append(parts, part{"redis", func() notice.Findings { return queue.Check(ctx, work.RedisURL) }})
	}
	greeting := hello(ctx, work.Mail)
	greetings := map[string]bool{}
	for i, set := range work.Mail.Relays {
		r, err := relay(set)
		if err != nil {
			all = append(all, wrongSetting(err).Of("settings")...)
			continue
		}
		name := r.Name
		if len(work.Mail.Relays) > 1 && set.Name == "" {
			name = fmt.Sprintf("%s (%d)", name, i+1)
		}
		r.Hello = cmp.Or(r.Hello, greeting)
		greetings[r.Hello] = true
		parts = append(parts, part{"relay " + name, func() notice.Findings { return send.Check(ctx, r) }})
	}
	for _, name := range slices.Sorted(maps.Keys(greetings)) {
		parts = append(parts, part{"hello", func() notice.Findings { return send.CheckHello(ctx, name, dns) }})
	}
	if work.Mail.From != "" {
		parts = append(parts, part{"from", func() notice.Findings { return checkFrom(ctx, work.Mail.From, dns) }})
	}
	if len(work.Mail.DKIM) > 0 {
		set := config.Signing{From: work.Mail.From, DKIM: work.Mail.DKIM}
		parts = append(parts, part{"dkim", func() notice.Findings { return checkKeys(ctx, set, dns) }})
	}
	if serve.Mail.PublicURL != "" || serve.Public.Listen != "" {
		parts = append(parts, part{"pages of readers", func() notice.Findings { return checkPages(ctx, serve) }})
	}
	if signIn := issuer(serve); signIn != nil {
		parts = append(parts, part{"sign-in", signIn.Check})
	}
	if told, err := receivers(serve.Webhooks); err == nil {
		for _, r := range told {
			parts = append(parts, part{"webhook " + r.Name, func() notice.Findings { return r.Check(ctx) }})
		}
	}
	for _, domain := range returnDomains(work.Mail) {
		parts = append(parts, part{"return path " + domain, func() notice.Findings { return send.CheckReturnPath(ctx, domain, dns) }})
	}
	return append(all, parts.try()...)
}

// part is something that check tries, with the name that its findings have.
type part struct {
	name string
	try  func() notice.Findings
}

type parts []part

// try tries all parts at once, and returns their findings in the order of the parts.
func (all parts) try() (findings notice.Findings) {
	found := make([]notice.Findings, len(all))
	var trying sync.WaitGroup
	for i, p := range all {
		trying.Go(func() { found[i] = p.try().Of(p.name) })
	}
	trying.Wait()
	return slices.Concat(found...)
}

// checkSettings turns the mistakes in the settings into findings, each mistake once.
func checkSettings(serve config.Serve, errs ...error) (f notice.Findings) {
	errs = append(errs, api.CheckListen(serve.Listen, serve.Tokens))
	said := map[string]bool{}
	for _, err := range errs {
		for _, one := range wrongSetting(err) {
			if !said[one.Message] {
				said[one.Message] = true
				f = append(f, one)
			}
		}
	}
	if len(f) == 0 {
		f.OK("all that serve and work need is set")
	}
	if len(serve.OnlyTo) > 0 {
		f.Warning("take TOCSIN_ONLY_TO away where customers are to be mailed", "only_to is set: mails go to %s, and all others end suppressed", serve.OnlyTo)
	}
	if shortToken(serve.Tokens) {
		f.Warning("take one of openssl rand -hex 24, or of `tocsin tokens add`", "TOCSIN_TOKEN has fewer than %d characters: it may be guessed", leastToken)
	}
	return f.Of("settings")
}

// leastToken is how many characters a token of the settings should have.
const leastToken = 20

func shortToken(tokens []string) bool {
	return slices.ContainsFunc(tokens, func(t string) bool { return len(t) < leastToken })
}

func wrongSetting(err error) (f notice.Findings) {
	if err == nil {
		return nil
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		f.Error("mend it; the README lists the settings", "%s", line)
	}
	return f
}

// returnDomains are the domains that bounces come back to, each once.
func returnDomains(set config.Mail) []string {
	domains := map[string]bool{}
	paths := []string{set.ReturnPath}
	for _, r := range set.Relays {
		paths = append(paths, r.ReturnPath)
	}
	for _, path := range paths {
		if _, domain, ok := strings.Cut(path, "@"); ok {
			domains[strings.ToLower(domain)] = true
		}
	}
	return slices.Sorted(maps.Keys(domains))
}

func checkFrom(ctx context.Context, from string, dns *net.Resolver) (f notice.Findings) {
	mailbox, err := mail.ParseAddress(from)
	if err != nil {
		f.Error(`write it like "Example Status <status@example.net>"`, "TOCSIN_FROM is no mailbox")
		return f
	}
	a, err := audience.ParseAddress(mailbox.Address)
	if err != nil {
		f.Error(`write it like "Example Status <status@example.net>"`, "TOCSIN_FROM: %v", err)
		return f
	}
	f.OK("the address is well formed")
	return append(f, send.CheckSender(ctx, a.Domain, dns)...)
}

// printFindings writes a block for each part: a line for each finding, and its advice below.
func printFindings(w io.Writer, all notice.Findings, colour bool) {
	part := ""
	for _, f := range all {
		if f.Part != part {
			if part != "" {
				fmt.Fprintln(w)
			}
			part = f.Part
			fmt.Fprintln(w, shown(part))
		}
		level := fmt.Sprintf("%-7s", f.Level)
		if colour {
			level = map[notice.Level]string{notice.LevelOK: "\x1b[32m", notice.LevelWarning: "\x1b[33m", notice.LevelError: "\x1b[31m"}[f.Level] + level + "\x1b[0m"
		}
		fmt.Fprintf(w, "  %s  %s\n", level, hang(shown(f.Message), 11, columns))
		if f.Advice != "" {
			fmt.Fprintf(w, "           → %s\n", hang(shown(f.Advice), 13, columns))
		}
	}
	fmt.Fprintf(w, "\n%s and %s.\n", many(all.Count(notice.LevelError), "error"), many(all.Count(notice.LevelWarning), "warning"))
}
