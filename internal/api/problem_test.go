package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// problemIn decodes a problem document and checks the members that all of them have in common.
func problemIn(t *testing.T, resp *http.Response, text string) (p Problem) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("status %d, not a problem: %v: %s", resp.StatusCode, err, text)
	}
	if got := resp.Header.Get("Content-Type"); got != problemType {
		t.Errorf("Content-Type %q, want %q", got, problemType)
	}
	if p.Status != resp.StatusCode || p.Type != "about:blank" || p.Title == "" || p.Detail == "" {
		t.Errorf("status %d with the problem %s", resp.StatusCode, text)
	}
	if id := resp.Header.Get("X-Request-Id"); id == "" || p.RequestID != id {
		t.Errorf("request_id %q, X-Request-Id %q", p.RequestID, id)
	}
	return p
}

func TestRequestsThatAreWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const good = `"key":"k","kind":"outage","phase":"resolved"`
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     []FieldError
	}{
		{"an unknown path", "GET", "/v1/nothing", "", 404, nil},
		{"a slash at the end", "GET", "/v1/notices/", "", 404, nil},
		{"a path that wants cleaning", "GET", "/v1//notices", "", 404, nil},
		{"a NUL in the path", "GET", "/v1/notices/%00", "", 404, nil},
		{"a path that is not UTF-8", "GET", "/v1/customers/%ff", "", 404, nil},
		{"another method", "PATCH", "/v1/notices", "", 405, nil},
		{"no body", "POST", "/v1/notices", "", 400, nil},
		{"half a body", "POST", "/v1/notices", `{"key":`, 400, []FieldError{{"", "the body is not JSON: it ends too soon"}}},
		{"no JSON", "POST", "/v1/notices", `key: k`, 400, []FieldError{{"", "the body is not JSON from byte 1 on"}}},
		{"two bodies", "POST", "/v1/notices", `{` + good + `} {}`, 400, []FieldError{{"", "the body goes on after its JSON value, at byte 48"}}},
		{"a NUL", "POST", "/v1/notices", `{` + good + `,"reply_to":"\u0000"}`, 400, []FieldError{{"", "the body holds a NUL character"}}},
		{"an unknown field", "POST", "/v1/notices", `{` + good + `,"audiense":"x"}`, 422, []FieldError{{"audiense", "unknown field"}}},
		{"an unknown field inside", "POST", "/v1/notices", `{` + good + `,"windows":[{"start":"a","end":"b","zome":"c"}]}`, 422,
			[]FieldError{{"windows[0].zome", "unknown field"}}},
		{"a field too few", "POST", "/v1/notices", `{"kind":"outage","phase":"resolved"}`, 422, []FieldError{{"key", "is missing"}}},
		{"a field of another type", "POST", "/v1/notices", `{` + good + `,"zone":7}`, 422, []FieldError{{"zone", "expected string"}}},
		{"a value that is none of the set", "POST", "/v1/notices", `{"key":"k","kind":"party","phase":"resolved"}`, 422,
			[]FieldError{{"kind", `expected value to be one of "outage, maintenance, advisory"`}}},
		{"a time of another type", "POST", "/v1/notices", `{` + good + `,"send_at":7}`, 422, []FieldError{{"send_at", "expected string"}}},
		{"no address to test", "POST", "/v1/notices/test", `{` + good + `}`, 422, []FieldError{{"to", "is missing"}}},
		{"neither sent nor requeue", "POST", "/v1/notices/k/settle", `{"all_uncertain":true}`, 422, []FieldError{{"sent", "say either sent or requeue"}}},
		{"a parameter twice", "GET", "/v1/notices?limit=1&limit=2", "", 422, []FieldError{{"limit", "is given twice"}}},
		{"an unknown parameter", "GET", "/v1/notices/k/deliveries?stat=failed", "", 422, []FieldError{{"stat", "unknown parameter"}}},
		{"an unknown state", "GET", "/v1/notices/k/deliveries?state=lost", "", 422, []FieldError{{"state",
			"is none of queued, sending, sent, deferred, failed, uncertain, suppressed, cancelled, bounced"}}},
		{"a page too large", "GET", "/v1/notices/k/deliveries?limit=1001", "", 422, []FieldError{{"limit", "expected number <= 1000"}}},
		{"a wait that is no time", "GET", "/v1/notices/k?wait=long", "", 422, []FieldError{{"wait", "is not a time such as 30s"}}},
		{"no such notice", "GET", "/v1/notices/k", "", 404, nil},
		{"another id than the path's", "PUT", "/v1/customers/7", `{"id":"8"}`, 422, []FieldError{{"id", "differs from the one in the path"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, text := b.send(t, tt.method, tt.path, tt.body)
			p := problemIn(t, resp, text)
			if p.Status != tt.status {
				t.Errorf("status %d, want %d: %s", p.Status, tt.status, text)
			}
			if diff := cmp.Diff(tt.want, p.Errors); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if allow := resp.Header.Get("Allow"); tt.status == 405 && allow != "GET, HEAD, POST" {
				t.Errorf("Allow %q", allow)
			}
		})
	}
}

func TestABodyOverOneMebibyteIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const head, tail = `{"kind":"outage","phase":"resolved","key":"k","reply_to":"`, `"}`
	fill := maxBody - len(head) - len(tail)
	if resp, text := b.send(t, "POST", "/v1/notices", head+strings.Repeat("x", fill)+tail); resp.StatusCode != http.StatusCreated {
		t.Errorf("one of exactly that size: status %d: %s", resp.StatusCode, text)
	}
	resp, text := b.send(t, "POST", "/v1/notices", head+strings.Repeat("x", fill+1)+tail)
	if p := problemIn(t, resp, text); p.Status != http.StatusRequestEntityTooLarge || p.Code != notice.CodeInvalid {
		t.Errorf("status %d: %s", p.Status, text)
	}
}

func TestAnotherMediaTypeIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, media := range map[string][2]string{
		"/v1/notices":          {"application/yaml", "Content-Type must be application/json"},
		"/v1/customers/import": {"application/json", "Content-Type must be text/csv or application/x-ndjson"},
	} {
		resp, text := b.send(t, "POST", path, `{}`, "Content-Type", media[0])
		if p := problemIn(t, resp, text); p.Status != http.StatusUnsupportedMediaType || p.Detail != media[1] {
			t.Errorf("%s as %s: status %d: %s", path, media[0], p.Status, text)
		}
	}
}

// sqlError is an error with that SQLSTATE.
type sqlError string

func (e sqlError) Error() string    { return "SQLSTATE " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

func TestErrorsBecomeProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		status int
		code   notice.Code
		detail string
	}{
		{"invalid", notice.Invalid("zone", "no such zone"), 422, "invalid", "zone: no such zone"},
		{"not found", notice.NotFound("no such thing"), 404, "not_found", "no such thing"},
		{"conflict", notice.Conflict("it has holes"), 409, "conflict", "it has holes"},
		{"too early", &notice.Error{Code: notice.CodeTooEarly, Message: "from noon"}, 409, "too_early", "from noon"},
		{"wrapped", fmt.Errorf("release: %w", notice.Conflict("it has holes")), 409, "conflict", "it has holes"},
		{"unknown", errors.New("duplicate key bob@example.org"), 500, "", "internal error"},
		{"an unknown code", &notice.Error{Code: "new", Message: "?"}, 500, "", "internal error"},
		{"the database is away", fmt.Errorf("query: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), 503, "",
			"a server that Tocsin depends on cannot be reached now; try again"},
		{"the database is starting", fmt.Errorf("query: %w", sqlError("57P03")), 503, "",
			"a server that Tocsin depends on cannot be reached now; try again"},
		{"the database is a standby", fmt.Errorf("query: %w", sqlError("25006")), 503, "",
			"the database can only be read now: it is a standby, or its transactions are read-only"},
		{"the database refuses", fmt.Errorf("query: %w", sqlError("23505")), 500, "", "internal error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.fail = tt.err
			resp, text := b.send(t, "GET", "/v1/notices", "")
			p := problemIn(t, resp, text)
			if p.Status != tt.status || p.Code != tt.code || p.Detail != tt.detail {
				t.Errorf("got %s", text)
			}
			if logged := strings.Contains(b.log.String(), "request failed"); logged != (tt.status >= 500) {
				t.Errorf("logged: %s", b.log)
			}
			if strings.Contains(b.log.String(), "bob@") {
				t.Errorf("the log holds an address: %s", b.log)
			}
		})
	}
}

func TestNothingSentIsRepeated(t *testing.T) {
	t.Parallel()
	const secret = "bob.secret@example.org"
	b := setup(t)
	b.fail = notice.Invalid("zone", "%q is not a zone", secret)
	requests := []struct{ method, path, body string }{
		{"GET", "/v1/" + secret, ""},
		{"GET", "/v1//" + secret, ""},
		{"DELETE", "/v1/customers/" + secret + "/deliveries", ""},
		{"GET", "/v1/notices/" + secret, ""},
		{"GET", "/v1/notices/k?wait=" + secret, ""},
		{"GET", "/v1/notices/k/deliveries?state=" + secret, ""},
		{"GET", "/v1/notices/k/deliveries?after=" + secret, ""},
		{"GET", "/v1/notices/k/deliveries?" + secret + "=1", ""},
		{"POST", "/v1/notices", secret},
		{"POST", "/v1/notices", `"` + secret + `"`},
		{"POST", "/v1/notices", `{"` + secret + `":1}`},
		{"POST", "/v1/notices", `{"key":"k","kind":"` + secret + `","phase":"x"}`},
		{"POST", "/v1/notices", `{"key":"k","kind":"outage","phase":"resolved","send_at":"` + secret + `"}`},
		{"POST", "/v1/notices", `{"key":"k","kind":"outage","phase":"resolved","zone":"` + secret + `"}`},
		{"POST", "/v1/notices", `{"key":"k","kind":"outage","phase":"resolved","parameters":{"` + secret + `":1}}`},
		{"POST", "/v1/notices/k/settle", `{"sent":"` + secret + `"}`},
		{"PUT", "/v1/customers/7", `{"id":"` + secret + `"}`},
		{"PUT", "/v1/customers/7", `{"attributes":"` + secret + `"}`},
	}
	for _, r := range requests {
		resp, text := b.send(t, r.method, r.path, r.body, "X-Request-Id", secret)
		if p := problemIn(t, resp, text); p.Status < 400 || p.Status >= 500 {
			t.Errorf("%s %s %s: status %d: %s", r.method, r.path, r.body, p.Status, text)
		}
		head := fmt.Sprint(resp.Header)
		if strings.Contains(text+head, "secret") {
			t.Errorf("%s %s %s repeats the address: %s %s", r.method, r.path, r.body, head, text)
		}
	}
	if strings.Contains(b.log.String(), "secret") {
		t.Errorf("the log holds the address:\n%s", b.log)
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"plain words":                          "plain words",
		"no delivery to a.b+c@example.org yet": "no delivery to (address) yet",
		`"bob@example.org" is not a zone`:      `"(address)" is not a zone`,
		`to "john smith"@example.org`:          "to (address)",
		`"\"john smith\"@example.org" is bad`:  `"\(address)" is bad`,
		"an address has one @ in it":           "an address has one @ in it",
		"zoë@bücher.example":                   "(address)",
	} {
		if got := scrub(given); got != want {
			t.Errorf("scrub(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for given, kept := range map[string]bool{"abc-123_x.Y": true, "": false, "two words": false, strings.Repeat("a", 65): false} {
		resp, _ := b.send(t, "GET", "/healthz", "", "X-Request-Id", given)
		got := resp.Header.Get("X-Request-Id")
		if got == "" || (got == given) != kept {
			t.Errorf("X-Request-Id %q became %q", given, got)
		}
	}
}

type panicking struct{ *fake }

func (panicking) Notices(context.Context, notice.Page) ([]notice.Status, error) {
	panic("no notices for bob@example.org")
}

func TestAPanicIsAProblem(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Book = panicking{o.Book.(*fake)} })
	resp, text := b.send(t, "GET", "/v1/notices", "")
	if p := problemIn(t, resp, text); p.Status != 500 || p.Detail != "internal error" {
		t.Errorf("got %s", text)
	}
	if log := b.log.String(); !strings.Contains(log, "no notices for (address)") || !strings.Contains(log, resp.Header.Get("X-Request-Id")) {
		t.Errorf("logged: %s", log)
	}
}
