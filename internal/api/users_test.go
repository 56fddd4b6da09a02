package api

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func TestPeopleAreInvited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	i, err := b.client.AddUser(t.Context(), "ada", notice.RoleSender)
	if err != nil {
		t.Fatal(err)
	}
	secret, ok := strings.CutPrefix(i.Link, b.http.URL+SignInPath+"?token=")
	if !ok || sha256.Sum256([]byte(secret)) != b.link || b.span != linkLasts || i.Name != "ada" || i.Role != notice.RoleSender || b.who != pressed {
		t.Errorf("invited %+v by %s", i, b.who)
	}
	again, err := b.client.AddLink(t.Context(), "ada")
	if err != nil || again.Link == i.Link {
		t.Errorf("another link: %+v, %v", again, err)
	}
	if u, err := b.client.SetUserRole(t.Context(), "ada", notice.RoleAdmin); err != nil || u.Role != notice.RoleAdmin {
		t.Errorf("the role: %+v, %v", u, err)
	}
	if u, err := b.client.RemoveUser(t.Context(), "ada"); err != nil || u.RemovedBy != pressed {
		t.Errorf("removed %+v, %v", u, err)
	}
	if all, err := b.client.Users(t.Context()); err != nil || len(all) != 1 || all[0].RemovedAt == nil {
		t.Errorf("listed %+v, %v", all, err)
	}
	for name, role := range map[string]notice.TokenRole{"tocsin": notice.RoleViewer, "a b": notice.RoleViewer, "eve": notice.RoleMetrics} {
		if _, err := b.client.AddUser(t.Context(), name, role); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("added %s as %s: %v", name, role, err)
		}
	}
	if _, err := b.client.AddLink(t.Context(), "nobody"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("a link for nobody: %v", err)
	}
}

func TestALinkBeginsWhereTheConsoleIs(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.ConsoleURL = "https://tocsin.example.net" })
	if i, err := b.client.AddUser(t.Context(), "ada", notice.RoleViewer); err != nil || !strings.HasPrefix(i.Link, "https://tocsin.example.net/sign-in/link?token=") {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestTheLogIsFilteredAndExported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC)
	b.acts = []notice.Act{
		{Number: 3, At: at.Add(time.Hour), Who: "ada", What: "release", Notice: "k", Detail: "=1+1", Origin: "192.0.2.7"},
		{Number: 2, At: at, Who: "eve", What: "release"},
		{Number: 1, At: at, Who: "ada", What: "pause"},
	}
	acts, _, err := b.client.Acts(t.Context(), notice.ActPage{Limit: 9, Who: "ada", What: "release", Since: at.Add(time.Minute)})
	if err != nil || len(acts) != 1 || acts[0].Origin != "192.0.2.7" {
		t.Errorf("%+v, %v", acts, err)
	}
	var out bytes.Buffer
	if err := b.client.ActsCSV(t.Context(), notice.ActPage{Who: "ada"}, &out); err != nil {
		t.Fatal(err)
	}
	want := `"number","at","who","note","origin","what","notice","detail"
"3","2026-11-09T04:14:07.000Z","ada","","192.0.2.7","release","k","'=1+1"
"1","2026-11-09T03:14:07.000Z","ada","","","pause","",""
`
	if out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}
