package notice

import (
	"slices"
	"testing"
)

// TestOnlyThoseWhoGotANoticeAreShownIt: an audience that is the same, or that is that notice; not another, nor one that has newcomers.
func TestOnlyThoseWhoGotANoticeAreShownIt(t *testing.T) {
	t.Parallel()
	of := func(key string, a Audience) Body { return Body{Key: key, Audience: a} }
	some, others := Audience{Filter: `plan = "gold"`}, Audience{Filter: `plan = "trial"`}
	for name, tt := range map[string]struct {
		b       Body
		earlier []Body
		want    []int
	}{
		"the same":          {of("c", some), []Body{of("b", some), of("a", some)}, []int{0, 1}},
		"another":           {of("c", some), []Body{of("b", others), of("a", some)}, []int{1}},
		"that notice":       {of("c", Audience{Notice: "b"}), []Body{of("b", Audience{Notice: "a"}), of("a", some)}, []int{0, 1}},
		"newcomers":         {of("c", Audience{Notice: "b", IncludeNew: true}), []Body{of("b", some)}, nil},
		"a wrong text":      {Body{Key: "c", Amends: "b"}, []Body{of("b", some), of("a", some)}, []int{1}},
		"the last five":     {of("g", some), []Body{of("f", some), of("e", some), of("d", some), of("c", some), of("b", some), of("a", some)}, []int{0, 1, 2, 3, 4}},
		"a part of another": {of("c", Audience{Notice: "a", Filter: "x"}), []Body{of("b", some), of("a", others)}, []int{1}},
	} {
		if got := ShownIn(tt.b, tt.earlier); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}
