package ledger

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func FuzzFrozen(f *testing.F) {
	for _, text := range []string{`[]`, `[{"id": "c1", "name": "Ann \"A\" \u00e9", "attributes": {"plan": "gold", "a\\b": ""}}, {"id": "2", "name": "", "attributes": {}}]`,
		`[{"id": "1"`, `[{"id": 1}]`, `[{}]x`, `"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := interned{}.frozen(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var back []notice.Frozen
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFrozenCustomersAreReadAsEncodingJSONReadsThem(t *testing.T) {
	t.Parallel()
	text := []byte(`[{"id": "c1", "name": "Ann \"A\" \u00e9 \\", "attributes": {"plan": "gold", "a\\b": "", "x": "{[]},:"}}, {"id": "2", "name": "", "attributes": {}}]`)
	var want []notice.Frozen
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	got, err := interned{}.frozen(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{``, `[`, `[{"id": "c1"]`, `[{"id": 7}]`, `[{"other": "x"}]`, `[] []`} {
		if _, err := (interned{}).frozen([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
