package ledger_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func hash(of byte) (h [32]byte) { h[0] = of; return h }

func TestASignInLinkLetsInOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := notice.WithPress(t.Context(), "boss", "192.0.2.7")
	_, err := d.AddUser(ctx, notice.User{Name: "Ada", Role: notice.RoleSender}, "boss")
	d.must(err)
	_, err = d.AddLink(ctx, "ada", hash(1), time.Hour, "boss")
	d.must(err)
	_, err = d.AddLink(ctx, "ada", hash(2), time.Hour, "boss")
	d.must(err)
	if _, err := d.TakeLink(ctx, hash(1), hash(9)); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("the earlier link: %v", err)
	}
	u, err := d.TakeLink(ctx, hash(2), hash(9))
	d.must(err)
	if u.Name != "Ada" || u.SignedInAt == nil {
		t.Errorf("let in %+v", u)
	}
	if _, err := d.TakeLink(ctx, hash(2), hash(8)); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("a link that was used: %v", err)
	}
	_, err = d.AddLink(ctx, "ada", hash(3), -time.Second, "boss")
	d.must(err)
	if _, err := d.TakeLink(ctx, hash(3), hash(8)); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("a link that has expired: %v", err)
	}
	s, err := d.Session(ctx, hash(9), time.Hour)
	d.must(err)
	if s.Name != "Ada" || s.Role != notice.RoleSender || s.Origin != "192.0.2.7" {
		t.Errorf("the session is %+v", s)
	}
	acts, err := d.Acts(ctx, notice.ActPage{Limit: 1, What: "sign in"})
	d.must(err)
	if len(acts) != 1 || acts[0].Who != "Ada" || acts[0].Origin != "192.0.2.7" || acts[0].Detail != "link" {
		t.Errorf("the log: %+v", acts)
	}
}

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	gone := func(why string, of byte) {
		t.Helper()
		if _, err := d.Session(ctx, hash(of), time.Hour); notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("%s: %v", why, err)
		}
	}
	begin := func(name string, of byte) {
		t.Helper()
		_, err := d.BeginSession(ctx, name, hash(of), "password")
		d.must(err)
		_, err = d.Session(ctx, hash(of), time.Hour)
		d.must(err)
	}
	for _, name := range []string{"ada", "eve"} {
		_, err := d.AddUser(ctx, notice.User{Name: name, Role: notice.RoleViewer}, "boss")
		d.must(err)
	}
	begin("ada", 1)
	d.must(d.EndSession(ctx, hash(1)))
	gone("signed out", 1)
	begin("ada", 2)
	d.exec(`UPDATE console_session SET seen_at = clock_timestamp() - interval '61 minutes'`)
	gone("idle", 2)
	begin("ada", 3)
	d.exec(`UPDATE console_session SET began_at = clock_timestamp() - interval '8 days'`)
	gone("old", 3)
	begin("ada", 4)
	begin("ada", 5)
	_, err := d.SetPassword(ctx, "ada", "$argon2id$…", hash(5))
	d.must(err)
	gone("another password", 4)
	if s, err := d.Session(ctx, hash(5), time.Hour); err != nil || !s.Password {
		t.Errorf("the session that set the password: %+v, %v", s, err)
	}
	begin("eve", 6)
	_, err = d.SetUserRole(ctx, "EVE", notice.RoleAdmin, "boss")
	d.must(err)
	if s, err := d.Session(ctx, hash(6), time.Hour); err != nil || s.Role != notice.RoleAdmin {
		t.Errorf("after a change of role: %+v, %v", s, err)
	}
	_, err = d.RemoveUser(ctx, "eve", "boss")
	d.must(err)
	gone("removed", 6)
	if _, err := d.BeginSession(ctx, "eve", hash(7), "password"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("one who was removed signs in: %v", err)
	}
	if p, err := d.Password(ctx, "eve"); err != nil || p != "" {
		t.Errorf("password %q, %v", p, err)
	}
}

func TestANameIsAPersonsOrATokens(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	_, err := d.AddToken(ctx, notice.Token{Name: "oncall", Role: notice.RoleSender}, hash(1), "boss")
	d.must(err)
	_, err = d.AddUser(ctx, notice.User{Name: "ada", Role: notice.RoleViewer}, "boss")
	d.must(err)
	if _, err := d.AddUser(ctx, notice.User{Name: "OnCall", Role: notice.RoleViewer}, "boss"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a person with the name of a token: %v", err)
	}
	if _, err := d.AddToken(ctx, notice.Token{Name: "Ada", Role: notice.RoleViewer}, hash(2), "boss"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a token with the name of a person: %v", err)
	}
	_, err = d.RemoveUser(ctx, "ada", "boss")
	d.must(err)
	if _, err := d.AddUser(ctx, notice.User{Name: "ada", Role: notice.RoleViewer}, "boss"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a name twice: %v", err)
	}
}

func TestAnIssuerVouchesForAPerson(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	vouched := notice.User{Name: "ada@example.net", Role: notice.RoleViewer, Issuer: "https://id.example"}
	_, err := d.Federate(ctx, vouched, "sub-1", hash(1))
	d.must(err)
	vouched.Role, vouched.Name = notice.RoleApprover, "ada.lovelace@example.net"
	_, err = d.Federate(ctx, vouched, "sub-1", hash(2))
	d.must(err)
	s, err := d.Session(ctx, hash(1), time.Hour)
	d.must(err)
	if s.Name != "ada@example.net" || s.Role != notice.RoleApprover || s.Issuer != "https://id.example" {
		t.Errorf("the session is %+v", s)
	}
	vouched.Name = "ada@example.net"
	if _, err := d.Federate(ctx, vouched, "sub-2", hash(3)); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another subject of that name: %v", err)
	}
	if _, err := d.AddLink(ctx, "ada@example.net", hash(4), time.Hour, "boss"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a link past the issuer: %v", err)
	}
	_, err = d.RemoveUser(ctx, "ada@example.net", "boss")
	d.must(err)
	if _, err := d.Federate(ctx, vouched, "sub-1", hash(5)); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("one who was removed: %v", err)
	}
}

func TestTheLogIsOnlyAddedTo(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, err := d.AddUser(t.Context(), notice.User{Name: "ada", Role: notice.RoleViewer}, "boss")
	d.must(err)
	for _, statement := range []string{`UPDATE act SET who = 'eve'`, `DELETE FROM act`, `TRUNCATE act`} {
		if _, err := d.pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestTheLogNamesNoCustomer(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := notice.WithPress(t.Context(), "ada", "192.0.2.7")
	row := notice.CustomerRow{Customer: notice.Customer{ID: "c-secret", Name: "Secret Ltd", Email: "secret@example.org"}, EmailKey: "secret@example.org"}
	_, _, err := d.PutCustomer(ctx, row)
	d.must(err)
	_, _, err = d.PutCustomer(ctx, row)
	d.must(err)
	_, err = d.PatchCustomer(ctx, row)
	d.must(err)
	_, _, err = d.Suppress(ctx, notice.SuppressionRow{Key: "secret@example.org", Reason: "asked", Scope: notice.ScopeAll}, "ada")
	d.must(err)
	d.must(d.Unsuppress(ctx, "secret@example.org"))
	d.must(d.DeleteCustomer(ctx, "c-secret"))
	acts, err := d.Acts(ctx, notice.ActPage{Limit: 100})
	d.must(err)
	var did []string
	for _, a := range acts {
		did = append(did, a.What)
		if strings.Contains(strings.ToLower(a.Detail), "secret") || a.Who != "ada" || a.Origin != "192.0.2.7" {
			t.Errorf("%+v", a)
		}
	}
	slices.Reverse(did)
	if want := "add customer, change customer, change customer, suppress, unsuppress, delete customer"; strings.Join(did, ", ") != want {
		t.Errorf("the log has %q, want %q", did, want)
	}
}
