package main

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func TestAReportSaysWhatCameBackAndFromWhere(t *testing.T) {
	t.Parallel()
	b := notice.NewBounces(map[string]int{"full": 2, "policy": 1_200, "complaint": 3}, []string{"gmail.com"}, map[string]int{"sent": 8_798, "bounced": 1_202})
	b.ListDomains(map[string]map[string]int{"": {"full": 1}, "gmail.com": {"policy": 1_200, "complaint": 2}, "x.example": {"full": 1, "complaint": 1}})
	b.ByDomain[0].Mails, b.ByDomain[1].Mails = 20_000, 0
	var report strings.Builder
	if err := reportBounces(&report, b); err != nil {
		t.Fatal(err)
	}
	want := `
Came back: 1,202 (12.0 %): 1,200 policy, 2 full. Complaints: 3.
Refused by policy: more than 5 % of the mails to gmail.com. Its servers say why below; nobody is suppressed for it.
DOMAIN     MAILS   CAME BACK  COMPLAINTS  CLASSES
gmail.com  20,000  1,200      2           1,200 policy
x.example  0       1          1           1 full
(erased)   -       1          0           1 full
`
	if report.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", report.String(), want)
	}

	var status strings.Builder
	rows := table(&status)
	printBounces(rows, b)
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	want = `Came back          1,202 (12.0 %)
  policy           1,200
  full             2
Complaints         3
Refused by policy  more than 5 % of the mails to gmail.com
`
	if status.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", status.String(), want)
	}

	var nothing strings.Builder
	if err := reportBounces(&nothing, notice.NewBounces(nil, nil, nil)); err != nil || nothing.Len() > 0 {
		t.Errorf("where nothing came back: %q, %v", nothing.String(), err)
	}
}
