package dkim

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestTheDNSIsCompared(t *testing.T) {
	t.Parallel()
	for _, k := range keys(t) {
		right := k.Record()
		for name, c := range map[string]struct {
			records testkit.Records
			level   notice.Level
			says    string
		}{
			"the right key":      {testkit.Records{TXT: []string{right}}, notice.LevelOK, "is the one that signs"},
			"blanks in it":       {testkit.Records{TXT: []string{strings.Replace(right, "; p=", " ;  p= ", 1)}}, notice.LevelOK, "is the one that signs"},
			"another text too":   {testkit.Records{TXT: []string{"hello", right}}, notice.LevelOK, "is the one that signs"},
			"another key":        {testkit.Records{TXT: []string{key(t, k.algorithm, k.Selector).Record()}}, notice.LevelError, "is not the one that signs"},
			"a key of no kind":   {testkit.Records{TXT: []string{"v=DKIM1; k=dsa; p=AAAA"}}, notice.LevelError, "is not the one that signs"},
			"a cut key":          {testkit.Records{TXT: []string{right[:len(right)-7]}}, notice.LevelError, "can't be read"},
			"a revoked key":      {testkit.Records{TXT: []string{"v=DKIM1; p="}}, notice.LevelError, "was revoked"},
			"two keys":           {testkit.Records{TXT: []string{right, "v=DKIM1; p=AAAA"}}, notice.LevelError, "has 2 keys"},
			"no text":            {testkit.Records{TXT: []string{"hello"}}, notice.LevelError, "has no key"},
			"a test":             {testkit.Records{TXT: []string{right + "; t=s:y"}}, notice.LevelWarning, "is a test"},
			"for other services": {testkit.Records{TXT: []string{right + "; s=tlsrpt"}}, notice.LevelError, "is not for mail"},
			"for other hashes":   {testkit.Records{TXT: []string{right + "; h=sha1"}}, notice.LevelError, "does not allow sha256"},
			"a broken server":    {testkit.Records{Broken: true}, notice.LevelWarning, "does not answer"},
		} {
			t.Run(k.algorithm+" "+name, func(t *testing.T) {
				t.Parallel()
				found := k.Check(t.Context(), testkit.DNS(t, testkit.Zone{k.Name(): c.records}))
				if len(found) != 1 || found[0].Level != c.level || !strings.Contains(found[0].Message, c.says) {
					t.Errorf("found %+v, want %v %q", found, c.level, c.says)
				}
			})
		}
		found := k.Check(t.Context(), testkit.DNS(t, testkit.Zone{}))
		if len(found) != 1 || found[0].Level != notice.LevelError || !strings.Contains(found[0].Message, "has no key") {
			t.Errorf("without a record: %+v", found)
		}
	}
}
