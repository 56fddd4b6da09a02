package main

import (
	"net/http"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// TestTokensOfPeople has one who may look, one who may send, and a machine that reads metrics.
func TestTokensOfPeople(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	working := freeAddress(t)
	s.with("TOCSIN_WORK_LISTEN=" + working).work()
	token := func(name, role string, more ...string) string {
		out, _, code := s.run(append([]string{"tokens", "add", name, "--role", role}, more...)...)
		if code != exitDone {
			t.Fatalf("tokens add %s: exit %d", name, code)
		}
		return strings.TrimSpace(out)
	}
	var api string
	for _, e := range s.env {
		if url, ok := strings.CutPrefix(e, "TOCSIN_URL="); ok {
			api = url
		}
	}
	looks, sends := token("phone", "viewer"), token("ops.night", "sender", "--expires", "720h")
	as := func(token string, args ...string) (string, string, int) {
		return s.with("TOCSIN_TOKEN=" + token).run(args...)
	}
	dir := s.notice("down")
	if _, errs, code := as(looks, "notice", "send", dir, "--yes"); code != exitFailed || !strings.Contains(errs, "role is viewer, and this wants sender") {
		t.Errorf("a viewer sends: exit %d, %s", code, errs)
	}
	if _, errs, code := as(sends, "notice", "send", dir, "--yes", "--wait"); code != exitDone {
		t.Errorf("a sender sends: exit %d, %s", code, errs)
	}
	if out, _, code := as(looks, "notice", "status", "down", "--json"); code != exitDone || !strings.Contains(out, `"created_by": "ops.night (`) {
		t.Errorf("exit %d: %s", code, out)
	}
	out, _, code := as(looks, "acts", "--notice", "down")
	if code != exitDone || !strings.Contains(out, "ops.night ("+operator()+")") || !strings.Contains(out, "release down: 3 recipients") {
		t.Errorf("exit %d: %s", code, out)
	}

	metrics := token("prometheus", "metrics")
	for path, want := range map[string]int{"http://" + working + "/metrics": 200, api + "/metrics": 200, api + "/v1/notices": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+metrics)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s with the token of a machine: %d, want %d", path, answer.StatusCode, want)
		}
	}

	people(s)
	s.must(nil, "tokens", "revoke", "phone")
	if _, errs, code := as(looks, "notice", "list"); code != exitFailed || !strings.Contains(errs, "revoked") {
		t.Errorf("with a revoked token: exit %d, %s", code, errs)
	}
	var list struct{ Tokens []notice.Token }
	s.must(&list, "tokens", "list", "--json")
	if len(list.Tokens) != 3 || list.Tokens[0].RevokedAt == nil || list.Tokens[1].ExpiresAt == nil {
		t.Errorf("listed %+v", list)
	}
	for _, secret := range []string{looks, sends, metrics} {
		if text, _, _ := s.run("tokens", "list"); strings.Contains(text, secret) {
			t.Error("a token is listed")
		}
	}
}

// people invites somebody to the console, and finds the acts in the log.
func people(s *system) {
	s.t.Helper()
	link, _, code := s.run("users", "add", "ada", "--role", "viewer")
	if code != exitDone || !strings.Contains(link, "/sign-in/link?token=") {
		s.t.Errorf("users add: exit %d, %s", code, link)
	}
	s.must(nil, "users", "role", "ada", "approver")
	if again, _, code := s.run("users", "link", "ada"); code != exitDone || again == link {
		s.t.Errorf("users link: exit %d, %s", code, again)
	}
	if _, errs, code := s.run("users", "add", "phone", "--role", "viewer"); code != exitFailed || !strings.Contains(errs, "a name is not used twice") {
		s.t.Errorf("the name of a token: exit %d, %s", code, errs)
	}
	s.must(nil, "users", "remove", "ada")
	if out, _, code := s.run("users", "list"); code != exitDone || !strings.Contains(out, "approver") || !strings.Contains(out, "removed") {
		s.t.Errorf("users list: exit %d, %s", code, out)
	}
	out, _, code := s.run("acts", "--who", "TOCSIN_TOKEN", "--what", "change role", "--since", "1h", "--csv")
	if code != exitDone || strings.Count(out, "\n") != 2 || !strings.Contains(out, `"127.0.0.1","change role","","ada, from viewer to approver"`) {
		s.t.Errorf("acts: exit %d, %s", code, out)
	}
}
