package send

import (
	"testing"

	"tocsin/internal/testkit"
)

func TestTheSendersDomainIsLookedUp(t *testing.T) {
	t.Parallel()
	dns := testkit.DNS(t, testkit.Zone{
		"com":                       {NS: []string{"a.gtld-servers.net"}},
		"good.tocsin.com":           {MX: []string{"mx.tocsin.com"}, TXT: []string{"another text", "v=spf1 ip4:192.0.2.1 -all"}},
		"_dmarc.tocsin.com":         {TXT: []string{"v=DMARC1; p=none"}}, // of the organisation: good.tocsin.com has none
		"bare.tocsin.org":           {A: []string{"192.0.2.7"}},
		"null.tocsin.org":           {MX: []string{"."}, TXT: []string{"v=spf1 -all"}},
		"_dmarc.null.tocsin.org":    {TXT: []string{"v=DMARC1;p=reject"}},
		"twice.tocsin.org":          {MX: []string{"mx.tocsin.org"}, TXT: []string{"v=spf1 mx -all", "V=SPF1 a -all"}},
		"open.tocsin.org":           {MX: []string{"mx.tocsin.org"}, TXT: []string{"v=spf1 +all"}},
		"broken.tocsin.org":         {Broken: true},
		"_dmarc.broken.tocsin.org":  {Broken: true},
		"_dmarc.another.tocsin.org": {TXT: []string{"v=DMARC1; p=none"}},
	})
	for _, c := range []struct {
		domain string
		want   []string // level and a part of the message
	}{
		{"good.tocsin.com", []string{"ok takes mail (MX)", "ok has an SPF record", "ok has a DMARC record"}},
		{"bare.tocsin.org", []string{"ok takes mail (A", "warning has no SPF", "warning has no DMARC"}},
		{"null.tocsin.org", []string{"error takes no mail", "ok has an SPF", "ok has a DMARC"}},
		{"twice.tocsin.org", []string{"ok takes mail", "error has 2 SPF records", "warning has no DMARC"}},
		{"open.tocsin.org", []string{"ok takes mail", "warning lets everybody send", "warning has no DMARC"}},
		{"broken.tocsin.org", []string{"warning the DNS does not answer", "warning the SPF record", "warning the DMARC record"}},
		{"absent.tocsin.org", []string{"error neither MX nor A", "warning has no SPF", "warning has no DMARC"}},
	} {
		t.Run(c.domain, func(t *testing.T) {
			t.Parallel()
			testkit.Findings(t, CheckSender(t.Context(), c.domain, dns), c.want...)
		})
	}
}

func TestADomainForExamplesIsNotLookedUp(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"example.net", "status.example.com", "mail.example", "a.test"} {
		testkit.Findings(t, CheckSender(t.Context(), domain, testkit.DNS(t, testkit.Zone{})), "warning a domain for examples")
	}
	if madeUp("counterexample.com") {
		t.Error("counterexample.com is a domain like any other")
	}
}

func TestANameServerThatKnowsNothingIsNoError(t *testing.T) {
	t.Parallel()
	testkit.Findings(t, CheckSender(t.Context(), "good.tocsin.com", testkit.DNS(t, testkit.Zone{})), "warning the DNS does not answer")
}
