package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/config"
	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// safeServers are set up as production wants them: each write is on the disk. The servers of testkit are not. The tests
// of this process share them.
var safeServers = sync.OnceValues(func() (*local.Services, error) {
	ctx := context.Background()
	s, err := local.Start(ctx, local.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := ledger.Migrate(ctx, s.DatabaseURL); err != nil {
		return nil, err
	}
	opts, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		return nil, err
	}
	client := redis.NewClient(opts)
	defer client.Close()
	return s, client.ConfigSet(ctx, "appendonly", "yes").Err()
})

// inOrder is an installation in which nothing is wrong. It returns the environment with the changes, of which an empty
// value takes a variable out.
func inOrder(t *testing.T, changes ...string) (env []string) {
	t.Helper()
	testkit.NeedsServers(t)
	s, err := safeServers()
	if err != nil {
		t.Fatal(err)
	}
	relay := relaySink(t, sink.Options{User: "ada", Password: "s3cret"})
	return append([]string{
		"DATABASE_URL=" + s.DatabaseURL, "REDIS_URL=" + s.RedisURL, "TOCSIN_SMTP_URL=smtp://ada:s3cret@" + relay,
		"TOCSIN_FROM=Example Status <status@tocsin.net>", "TOCSIN_TOKEN=t0ken-t0ken-t0ken-t0ken", "TOCSIN_HELLO=mta.tocsin.net",
	}, changes...)
}

func relaySink(t *testing.T, o sink.Options) (addr string) {
	t.Helper()
	s := startSink(t, "127.0.0.1:0", o)
	t.Cleanup(func() {
		if s.Count() > 0 {
			t.Errorf("check sent %d mails", s.Count())
		}
	})
	return s.Addr().String()
}

func TestCheckOfAnInstallationInOrder(t *testing.T) {
	t.Parallel()
	settings, err := config.Read(nil, inOrder(t))
	if err != nil {
		t.Fatal(err)
	}
	dns := testkit.DNS(t, testkit.Zone{
		"com":               {NS: []string{"a.gtld-servers.net"}},
		"tocsin.net":        {MX: []string{"mx.tocsin.net"}, TXT: []string{"v=spf1 mx -all"}},
		"mta.tocsin.net":    {A: []string{"192.0.2.7"}},
		"_dmarc.tocsin.net": {TXT: []string{"v=DMARC1; p=reject"}},
	})
	var out, errs bytes.Buffer
	a := &app{stdout: &out, stderr: &errs, settings: settings}
	if code := a.exit((&checkCmd{}).try(t.Context(), a, dns)); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(out.String(), "\n0 errors and 0 warnings.\n") || errs.Len() > 0 {
		t.Errorf("%s%s", &out, &errs)
	}
}

func TestCheckNamesEachFaultAndWhatToDo(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	expired := relaySink(t, sink.Options{ImplicitTLS: true, TLS: &tls.Config{Certificates: []tls.Certificate{certs.expired}}})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t0ken-t0ken-t0ken-t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := inOrder(t, "TOCSIN_ZONE=Europe/Nowhere", "TOCSIN_TOKEN=", "TOCSIN_TOKEN_FILE="+token, "TOCSIN_HELLO=web1")
	for i, e := range env {
		switch {
		case strings.HasPrefix(e, "TOCSIN_SMTP_URL="):
			env[i] = "TOCSIN_SMTP_URL=" + strings.Replace(strings.TrimPrefix(e, "TOCSIN_SMTP_URL="), "s3cret", "wr0ng", 1) + ",smtps://" + expired
		case strings.HasPrefix(e, "REDIS_URL="):
			env[i] = strings.Replace(e, "redis://:", "redis://:wr0ng", 1)
		}
	}
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"check", "--json"}, strings.NewReader(""), &out, &errs, env); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	var doc struct {
		Findings         notice.Findings
		Warnings, Errors int
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %s%s", err, &out, &errs)
	}
	for part, message := range map[string]string{
		"settings":            "Europe/Nowhere",
		"redis":               "refuses the password",
		"hello":               "greeted as web1, which is no full name",
		"relay 127.0.0.1 (1)": "refuses the password of the user (535)",
		"relay 127.0.0.1 (2)": "its certificate expired on",
	} {
		found := false
		for _, f := range doc.Findings {
			found = found || f.Part == part && f.Level != notice.LevelOK && strings.Contains(f.Message, message) && f.Advice != ""
		}
		if !found {
			t.Errorf("%s: nothing says %q: %+v", part, message, doc.Findings)
		}
	}
	if doc.Errors != doc.Findings.Count(notice.LevelError) || doc.Errors < 3 {
		t.Errorf("%d errors are counted", doc.Errors)
	}
	for _, secret := range []string{"s3cret", "wr0ng", "t0ken"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("it tells %q: %s", secret, &out)
		}
	}
}
