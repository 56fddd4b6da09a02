package ledger_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestTokensAreKeptHashedAndEndForEver(t *testing.T) {
	t.Parallel()
	d := open(t)
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	hash := sha256.Sum256([]byte("secret"))
	added, err := d.AddToken(t.Context(), notice.Token{Name: "oncall", Role: notice.RoleSender, ExpiresAt: &ends}, hash, "ada (laptop)")
	d.must(err)
	if added.CreatedBy != "ada (laptop)" || !added.ExpiresAt.Equal(ends) || added.RevokedAt != nil {
		t.Errorf("added %+v", added)
	}
	for _, again := range []string{"oncall", "OnCall"} {
		if _, err := d.AddToken(t.Context(), notice.Token{Name: again, Role: notice.RoleAdmin}, sha256.Sum256([]byte(again)), "ada"); notice.CodeOf(err) != notice.CodeConflict {
			t.Errorf("%s a second time: %v", again, err)
		}
	}
	if _, err := d.RevokeToken(t.Context(), "nobody", "ada"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("revoked nobody: %v", err)
	}
	first, err := d.RevokeToken(t.Context(), "ONCALL", "ada")
	d.must(err)
	second, err := d.RevokeToken(t.Context(), "oncall", "eve")
	d.must(err)
	if first.RevokedAt == nil || second.RevokedBy != "ada" || !second.RevokedAt.Equal(*first.RevokedAt) {
		t.Errorf("revoked %+v, and again %+v", first, second)
	}
	keys, err := d.Keys(t.Context())
	d.must(err)
	if len(keys) != 1 || keys[0].Hash != hash || keys[0].RevokedAt == nil || keys[0].Role != notice.RoleSender {
		t.Errorf("the keys are %+v", keys)
	}
	acts, err := d.Acts(t.Context(), notice.ActPage{Limit: 10})
	d.must(err)
	if len(acts) != 2 || acts[0].What != "revoke token" || acts[0].Who != "ada" || acts[1].Who != "ada" || acts[1].Note != "laptop" ||
		!strings.HasPrefix(acts[1].Detail, "oncall, sender, until 20") || acts[1].Notice != "" {
		t.Errorf("the log is %+v", acts)
	}
}

func TestTheLogOfANotice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.must(d.RecordTest(t.Context(), "later", "ada", "1 mail"))
	var ids []int64
	for _, key := range []string{"first", "later"} {
		b := notice.Body{Key: key, Kind: notice.Outage, Phase: "identified"}
		id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "ada"})
		d.must(err)
		d.must(d.RecordTest(t.Context(), key, "bob", "2 mails"))
		ids = append(ids, id)
	}
	d.must(d.DeleteDraft(t.Context(), ids[0], "ada"))
	tell := func(p notice.ActPage) (told string) {
		acts, err := d.Acts(t.Context(), p)
		d.must(err)
		for _, a := range acts {
			told += strings.TrimSpace(a.What+" "+a.Notice+" "+a.Detail) + "; "
		}
		return told
	}
	for ref, want := range map[string]string{
		"later": "test later 2 mails; test later 1 mail; ",
		"":      "delete  draft first; test later 2 mails; test first 2 mails; test later 1 mail; ",
		"none":  "",
	} {
		if got := tell(notice.ActPage{Notice: ref, Limit: 10}); got != want {
			t.Errorf("about %q: %s, want %s", ref, got, want)
		}
	}
	if got := tell(notice.ActPage{Limit: 1, Before: 3}); got != "test first 2 mails; " {
		t.Errorf("the page before 3: %s", got)
	}
}

func TestAnUnmigratedDatabaseHasNoTokens(t *testing.T) {
	t.Parallel()
	db, err := ledger.Open(t.Context(), testkit.EmptyPostgres(t), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if keys, err := db.Keys(t.Context()); err != nil || len(keys) > 0 {
		t.Errorf("%v, %v", keys, err)
	}
}
