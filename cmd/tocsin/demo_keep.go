package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"tocsin/internal/notice"
)

// keep leaves everything running until ctx ends, with the inbox as a web page.
func (s *stage) keep(ctx context.Context, acc account) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("show the inbox: %w", err)
	}
	page := &http.Server{Handler: s.inbox.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go page.Serve(ln)
	defer page.Close()

	you, err := s.client.AddUser(ctx, "you", notice.RoleAdmin)
	if err != nil {
		return fmt.Errorf("add you to the console: %w", err)
	}

	s.say.step("Everything keeps running until Ctrl-C")
	s.say.line("  The console %s", you.Link)
	s.say.line("              (the link lets you in once)")
	s.say.line("  The inbox   http://%s/", ln.Addr())
	s.say.line("  The API     %s/openapi.json", s.url)
	s.say.line("\n  In another terminal:\n")
	s.say.line("export TOCSIN_URL=%s TOCSIN_TOKEN=%s", s.url, s.token)
	for _, command := range []string{
		"notice status " + acc.st.Key,
		"report " + acc.st.Key + " --state failed",
		"customers history " + acc.told(),
		"notice settle " + acc.st.Key + " --sent --all-uncertain",
	} {
		s.say.line("%s %s", os.Args[0], command)
	}
	<-ctx.Done()
	s.say.line("\nStopping.")
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause // a part of it ended before it was told to
	}
	return nil
}

// told is a customer who got the mail.
func (acc account) told() string {
	for _, d := range acc.rows {
		if d.State == notice.DeliverySent {
			return d.Customers[0]
		}
	}
	return "C10001"
}
