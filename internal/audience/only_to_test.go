package audience

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestPatternsOfMailboxesFollowTheRulesOfAddressKeys(t *testing.T) {
	t.Parallel()
	got, err := ParseOnlyTo([]string{" *@Example.NET ", "Ada+Ops@example.org", "*@*.BÜCHER.example", "*@xn--bcher-kva.example", "*@bücher.example", "*@example.net", "*@*.xn--bcher-kva.example"})
	if err != nil {
		t.Fatal(err)
	}
	want := notice.OnlyTo{"*@*.xn--bcher-kva.example", "*@example.net", "*@xn--bcher-kva.example", "ada+ops@example.org"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, address := range []string{"ADA@EXAMPLE.NET", "ada@bücher.example", "ada@mail.xn--BCHER-kva.example", `"ada+ops"@example.org`} {
		a, err := ParseAddress(address)
		if err != nil || !got.Matches(a.Key()) {
			t.Errorf("%s does not match: %v", address, err)
		}
	}
}

func TestAWrongPatternOfMailboxesIsRefusedWithWordsThatHelp(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"example.net":           "write *@example.net",
		"*.example.net":         "write *@example.net",
		"*":                     "write *@example.net",
		"*@*":                   "*@*.example.net",
		"*@mail*.example.net":   "*@*.example.net",
		"*@a.*.example.net":     "*@*.example.net",
		"":                      "nothing before the @",
		"@example.net":          "nothing before the @",
		"*@":                    "no domain after the @",
		"*@*.":                  "no domain after the @",
		"*@example":             "",
		"*@*.net":               "",
		"Ada <ada@example.net>": "angle brackets",
		"ada@@example.net":      "more than one @",
		"*@example..net":        "",
	} {
		got, err := ParseOnlyTo([]string{"*@example.org", pattern})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "\""+pattern+"\"") {
			t.Errorf("%q became %v, %v; want an error with %q", pattern, got, err, want)
		}
	}
	if _, err := ParseOnlyTo(nil); err == nil || !strings.Contains(err.Error(), "*@example.net") {
		t.Errorf("an empty list: %v", err)
	}
}
