package notice

import "testing"

func TestAMailboxMatchesAPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"*@example.net", "ada@example.net", true},
		{"*@example.net", "ada+tag@example.net", true},
		{"*@example.net", `"a@b"@example.net`, true},
		{"*@example.net", "ada@mail.example.net", false},
		{"*@example.net", "ada@notexample.net", false},
		{"*@example.net", "ada@example.net.example.org", false},
		{"*@example.net", "", false},
		{"*@example.net", "\tc1", false},
		{"*@*.example.net", "ada@mail.example.net", true},
		{"*@*.example.net", "ada@a.b.example.net", true},
		{"*@*.example.net", "ada@example.net", false},
		{"*@*.example.net", "ada@.example.net", false},
		{"ada@example.net", "ada@example.net", true},
		{"ada@example.net", "ada+tag@example.net", false},
		{"ada@example.net", "bada@example.net", false},
		{"ada+*@example.net", "ada+1@example.net", true},
		{"ada+*@example.net", "ada@example.net", false},
		{"*+ops@example.net", "ada+ops@example.net", true},
		{"a*b*a@example.net", "aba@example.net", true},
		{"a*b*a@example.net", "aa@example.net", false},
		{"a*a@example.net", "a@example.net", false},
	} {
		if got := (OnlyTo{"none@example.org", c.pattern}).Matches(c.key); got != c.want {
			t.Errorf("%s matches %q: %v, want %v", c.pattern, c.key, got, c.want)
		}
	}
	if !(OnlyTo(nil)).Matches("ada@example.net") {
		t.Error("without patterns every mailbox is meant")
	}
}
