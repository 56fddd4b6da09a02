package send

import (
	"testing"

	"tocsin/internal/testkit"
)

func TestTheSendersDomainIsLookedUp(t *testing.T) {
	t.Parallel()
	dns := testkit.DNS(t, testkit.Zone{
		"com":                        {NS: []string{"a.gtld-servers.net"}},
		"good.example.com":           {MX: []string{"mx.example.com"}, TXT: []string{"another text", "v=spf1 ip4:192.0.2.1 -all"}},
		"_dmarc.example.com":         {TXT: []string{"v=DMARC1; p=none"}}, // of the organisation: good.example.com has none
		"bare.example.org":           {A: []string{"192.0.2.7"}},
		"null.example.org":           {MX: []string{"."}, TXT: []string{"v=spf1 -all"}},
		"_dmarc.null.example.org":    {TXT: []string{"v=DMARC1;p=reject"}},
		"twice.example.org":          {MX: []string{"mx.example.org"}, TXT: []string{"v=spf1 mx -all", "V=SPF1 a -all"}},
		"open.example.org":           {MX: []string{"mx.example.org"}, TXT: []string{"v=spf1 +all"}},
		"broken.example.org":         {Broken: true},
		"_dmarc.broken.example.org":  {Broken: true},
		"_dmarc.another.example.org": {TXT: []string{"v=DMARC1; p=none"}},
	})
	for _, c := range []struct {
		domain string
		want   []string // level and a part of the message
	}{
		{"good.example.com", []string{"ok takes mail (MX)", "ok has an SPF record", "ok has a DMARC record"}},
		{"bare.example.org", []string{"ok takes mail (A", "warning has no SPF", "warning has no DMARC"}},
		{"null.example.org", []string{"error takes no mail", "ok has an SPF", "ok has a DMARC"}},
		{"twice.example.org", []string{"ok takes mail", "error has 2 SPF records", "warning has no DMARC"}},
		{"open.example.org", []string{"ok takes mail", "warning lets everybody send", "warning has no DMARC"}},
		{"broken.example.org", []string{"warning the DNS does not answer", "warning the SPF record", "warning the DMARC record"}},
		{"absent.example.org", []string{"error neither MX nor A", "warning has no SPF", "warning has no DMARC"}},
	} {
		t.Run(c.domain, func(t *testing.T) {
			t.Parallel()
			testkit.Findings(t, CheckSender(t.Context(), c.domain, dns), c.want...)
		})
	}
}

func TestANameServerThatKnowsNothingIsNoError(t *testing.T) {
	t.Parallel()
	testkit.Findings(t, CheckSender(t.Context(), "good.example.com", testkit.DNS(t, testkit.Zone{})), "warning the DNS does not answer")
}
