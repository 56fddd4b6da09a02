package audience

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTheIDsOfAReportAreReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.StringMatching(`[-=+@A-Z0-9"',; é]{1,8}`), 1, 5).Draw(t, "ids")
		for i, id := range ids {
			ids[i], _ = cleanID("x" + id + "x")
		}
		got, bad := splitIDs(JoinIDs(ids))
		if diff := cmp.Diff(ids, got); bad != "" || diff != "" {
			t.Fatalf("%s: %s, -want +got\n%s", JoinIDs(ids), bad, diff)
		}
	})
}
