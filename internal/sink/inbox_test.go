package sink

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const both = "From: Status <status@example.net>\r\nSubject: x\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 <b>\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+Y2Fmw6k8L3A+\r\n--b--\r\n"

// inbox serves a sink that has taken the mails.
func inbox(t *testing.T, o Options, mails ...Mail) *httptest.Server {
	t.Helper()
	s := New(o)
	for _, m := range mails {
		if err := s.take(m); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	return web
}

func get(t *testing.T, web *httptest.Server, path string, status int) (body string, header http.Header) {
	t.Helper()
	r, err := web.Client().Get(web.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status {
		t.Fatalf("GET %s: %d %v", path, r.StatusCode, err)
	}
	return string(b), r.Header
}

func numberedMails(n int) (mails []Mail) {
	for i := range n {
		mails = append(mails, Mail{
			At: time.Unix(int64(i), 0), MailFrom: "status@example.net", RcptTo: []string{fmt.Sprintf("r%03d@example.org", i+1)},
			Subject: fmt.Sprintf("Subject %03d", i+1), Raw: both,
		})
	}
	return mails
}

func TestTheListShowsTheNewestFirst(t *testing.T) {
	t.Parallel()
	web := inbox(t, Options{Keep: 120}, numberedMails(300)...)
	list, _ := get(t, web, "/", 200)
	for _, want := range []string{"300 mails taken, the newest 120 kept", "1–50 of 120", "/mail/300", "/mail/251", "page=2"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in the first page", want)
		}
	}
	if strings.Contains(list, "/mail/250") || strings.Index(list, "Subject 300") > strings.Index(list, "Subject 299") {
		t.Error("the first page is not the newest fifty")
	}
	last, _ := get(t, web, "/?page=99", 200)
	if !strings.Contains(last, "101–120 of 120") || !strings.Contains(last, "/mail/181") || strings.Contains(last, "/mail/180") {
		t.Error("the last page is not the oldest twenty that are kept")
	}
	get(t, web, "/mail/181", 200)
	get(t, web, "/mail/180", 404)
	get(t, web, "/mail/301", 404)
	get(t, web, "/mail/x", 404)
	get(t, web, "/elsewhere", 404)
}

func TestRecipientsAreSearched(t *testing.T) {
	t.Parallel()
	web := inbox(t, Options{}, numberedMails(120)...)
	list, _ := get(t, web, "/?to=R01", 200)
	if !strings.Contains(list, "1–10 of 10") || !strings.Contains(list, "/mail/19") || strings.Contains(list, "/mail/20") {
		t.Errorf("got %s", list)
	}
	if list, _ := get(t, web, "/?to=%3Cscript%3E", 200); strings.Contains(list, "<script>") || !strings.Contains(list, "No mail to") {
		t.Errorf("got %s", list)
	}
}

func TestAnEmptyInboxSaysSo(t *testing.T) {
	t.Parallel()
	if list, _ := get(t, inbox(t, Options{}), "/", 200); !strings.Contains(list, "No mail yet") {
		t.Errorf("got %s", list)
	}
}

func TestAMailIsShownInEachView(t *testing.T) {
	t.Parallel()
	m := Mail{MailFrom: "status@example.net", RcptTo: []string{"ada@example.org"}, Subject: "Zwölf", Language: "de", Raw: both}
	web := inbox(t, Options{}, m)
	page, header := get(t, web, "/mail/1", 200)
	if !strings.Contains(page, `<iframe src="/mail/1/html" sandbox`) || !strings.Contains(page, "Zwölf") {
		t.Errorf("got %s", page)
	}
	if got := header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
		t.Errorf("policy %q", got)
	}
	html, header := get(t, web, "/mail/1/html", 200)
	if html != "<p>café</p>" {
		t.Errorf("HTML is %q", html)
	}
	if got := header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || !strings.Contains(got, "sandbox") {
		t.Errorf("policy %q", got)
	}
	if text, _ := get(t, web, "/mail/1?view=text", 200); !strings.Contains(text, "café &lt;b&gt;") {
		t.Errorf("got %s", text)
	}
	if source, _ := get(t, web, "/mail/1?view=source", 200); !strings.Contains(source, "caf=C3=A9 &lt;b&gt;") {
		t.Errorf("got %s", source)
	}
	if raw, header := get(t, web, "/mail/1/raw", 200); raw != both || header.Get("Content-Type") != "message/rfc822" {
		t.Errorf("got %q", raw)
	}
}

func TestNothingInAMailRunsInTheInbox(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	web := inbox(t, Options{}, Mail{
		MailFrom: evil, RcptTo: []string{evil}, Subject: evil, Language: evil, MessageID: evil,
		Raw: "Subject: x\r\nContent-Type: text/plain\r\n\r\n" + evil,
	})
	for _, path := range []string{"/", "/mail/1", "/mail/1?view=text", "/mail/1?view=source"} {
		page, header := get(t, web, path, 200)
		if strings.Contains(page, "<script") || strings.Contains(page, "<img") {
			t.Errorf("%s holds markup of the mail", path)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, raw, html, text string }{
		{"both", both, "<p>café</p>", "café <b>"},
		{"no type", "Subject: x\r\n\r\nhello", "", "hello"},
		{"latin 1", "Content-Type: text/plain; charset=ISO-8859-1\r\n\r\ncaf\xe9", "", "café"},
		{"nested", "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" +
			"--i\r\nContent-Type: text/html\r\n\r\n<i>\r\n--i--\r\n--o\r\nContent-Type: text/calendar\r\n\r\nBEGIN\r\n--o--", "<i>", ""},
		{"the first of two", "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\none\r\n--o\r\n\r\ntwo\r\n--o--", "", "one"},
		{"no boundary", "Content-Type: multipart/mixed\r\n\r\nx", "", ""},
		{"broken type", "Content-Type: ;;;\r\n\r\nx", "", ""},
		{"no header", "x", "", ""},
	} {
		html, text := bodies(c.raw)
		if d := cmp.Diff([]string{c.html, c.text}, []string{html, text}); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestTheInboxAnswersToNamesOfThisMachineAlone(t *testing.T) {
	t.Parallel()
	web := inbox(t, Options{})
	for host, want := range map[string]int{
		"127.0.0.1:80": 200, "localhost": 200, "[::1]:8025": 200, "LOCALHOST:1": 200,
		"evil.example": 403, "evil.example:80": 403, "127.0.0.1.evil.example": 403, "192.0.2.1": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := web.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("asked for by %s: status %d, want %d", host, answer.StatusCode, want)
		}
	}
}
