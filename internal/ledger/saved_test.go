package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

type files = map[string][]byte

func TestASavedDraftIsNotOverwritten(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	id, err := d.AddSavedDraft(ctx, files{"notice.yaml": []byte("key: a\n"), "en.md": nil}, "ann")
	d.must(err)
	second := files{"notice.yaml": []byte("key: b\n")}
	version, err := d.SaveDraft(ctx, id, 1, second, "bob")
	d.must(err)
	if again, err := d.SaveDraft(ctx, id, 1, second, "bob"); err != nil || version != 2 || again != 2 {
		t.Errorf("versions %d and %d, %v", version, again, err)
	}
	if _, err := d.SaveDraft(ctx, id, 1, files{"notice.yaml": []byte("key: c\n")}, "ann"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a change of version 1 over version 2: %v", err)
	}
	got, err := d.SavedDraft(ctx, id)
	d.must(err)
	if diff := cmp.Diff(second, got.Files); diff != "" || got.CreatedBy != "ann" || got.ChangedBy != "bob" || got.Version != 2 {
		t.Errorf("%+v (-want +got):\n%s", got, diff)
	}
	all, err := d.SavedDrafts(ctx)
	d.must(err)
	if len(all) != 1 || string(all[0].Files["notice.yaml"]) != "key: b\n" {
		t.Errorf("the list: %+v", all)
	}
	d.must(d.DeleteSavedDraft(ctx, id, "ann"))
	if _, err := d.SavedDraft(ctx, id); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("after it was deleted: %v", err)
	}
}

func TestASavedDraftThatNobodyChangesIsDropped(t *testing.T) {
	t.Parallel()
	d := open(t)
	for range 2 {
		_, err := d.AddSavedDraft(t.Context(), files{"notice.yaml": []byte("key: a\n")}, "ann")
		d.must(err)
	}
	d.exec(`UPDATE saved_draft SET changed_at = changed_at - interval '31 days' WHERE id = 1`)
	if n, _, err := d.DropOldSavedDrafts(t.Context(), 30*24*time.Hour); n != 1 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
}

// TestAnErasedCustomerIsInNoSavedDraft, and all that is not theirs stays as it was.
func TestAnErasedCustomerIsInNoSavedDraft(t *testing.T) {
	t.Parallel()
	d := annaAndBob(t)
	id, err := d.AddSavedDraft(t.Context(), files{
		"notice.yaml": []byte("key: a\naudience: 'id = \"anna-1\" OR id = \"anna-12\"'\nreply_to: Anna.Zwart@solo.example\n"),
		"en.md":       []byte("---\nsubject: s\n---\nWrite to anna.zwart@solo.example, ANNA.ZWART@SOLO.EXAMPLE.\r\nAt 1 the anna-1 stops.\n"),
		"list.csv":    []byte("id,name\r\nanna-1,x\r\nanna-12,y\r\nc1,\"anna.zwart@solo.example\"\r\nc1,z\r\n"),
	}, "ann")
	d.must(err)
	_, err = d.AddSavedDraft(t.Context(), files{"notice.yaml": []byte("key: b\n")}, "ann")
	d.must(err)
	d.must(d.DeleteCustomer(t.Context(), "anna-1"))
	got, err := d.SavedDraft(t.Context(), id)
	d.must(err)
	if diff := cmp.Diff(files{
		"notice.yaml": []byte("key: a\naudience: 'id = \"erased\" OR id = \"anna-12\"'\nreply_to: erased\n"),
		"en.md":       []byte("---\nsubject: s\n---\nWrite to erased, erased.\r\nAt 1 the anna-1 stops.\n"),
		"list.csv":    []byte("id,name\r\nanna-12,y\r\nc1,z\r\n"),
	}, got.Files); diff != "" || got.Version != 2 {
		t.Errorf("version %d (-want +got):\n%s", got.Version, diff)
	}
	if other, err := d.SavedDraft(t.Context(), id+1); err != nil || other.Version != 1 {
		t.Errorf("another draft: %+v, %v", other, err)
	}
}
