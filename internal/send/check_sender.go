package send

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"tocsin/internal/notice"
)

// CheckSender looks up the records by which receivers judge the domain of a sender's address. They say where it takes
// mail (RFC 5321 §5.1), who may send for it (SPF, RFC 7208) and how to treat the rest (DMARC, RFC 7489). The domain is
// an A-label. Where the DNS does not answer, nothing is known, which is no error.
func CheckSender(ctx context.Context, domain string, dns *net.Resolver) (f notice.Findings) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if answers(ctx, &f, "TOCSIN_FROM", domain, dns) {
		checkMX(ctx, &f, domain, dns)
		checkSPF(ctx, &f, domain, dns)
		checkDMARC(ctx, &f, domain, dns)
	}
	return f
}

// CheckReturnPath looks up whether bounces reach the domain of a reverse-path, and who may send under it. Receivers ask
// for the SPF of that domain.
func CheckReturnPath(ctx context.Context, domain string, dns *net.Resolver) (f notice.Findings) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if answers(ctx, &f, "TOCSIN_RETURN_PATH", domain, dns) {
		checkMX(ctx, &f, domain, dns)
		checkSPF(ctx, &f, domain, dns)
	}
	return f
}

// answers reports whether the DNS can tell something about the domain of a setting.
func answers(ctx context.Context, f *notice.Findings, setting, domain string, dns *net.Resolver) bool {
	if madeUp(domain) {
		f.Warning("set "+setting+" to an address at a domain of your own before sending in earnest", "%s is a domain for examples (RFC 2606)", domain)
		return false
	}
	// A name server of a closed network says "no such name" to everything: that would be no finding about the domain.
	if _, err := dns.LookupNS(ctx, "com."); err != nil {
		unanswered(f, "whether "+domain+" takes mail, and its SPF and DMARC, are not known")
		return false
	}
	return true
}

// madeUp reports whether a domain is one of those that exist for examples and tests.
func madeUp(domain string) bool {
	for _, reserved := range []string{"example.com", "example.net", "example.org", "example", "test", "invalid", "localhost"} {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			return true
		}
	}
	return false
}

// silent reports whether a lookup failed for another reason than that there is no such record.
func silent(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return err != nil && (!ok || !e.IsNotFound)
}

func unanswered(f *notice.Findings, what string) {
	f.Warning("see whether this machine's name servers work, or look it up elsewhere", "the DNS does not answer: %s", what)
}

func checkMX(ctx context.Context, f *notice.Findings, domain string, dns *net.Resolver) {
	mxs, err := dns.LookupMX(ctx, domain)
	if len(mxs) == 1 && (mxs[0].Host == "." || mxs[0].Host == "") { // RFC 7505
		f.Error("send from a domain that takes mail", "%s says that it takes no mail (null MX): many receivers refuse what comes from it", domain)
		return
	}
	if len(mxs) > 0 {
		f.OK("%s takes mail (MX)", domain)
		return
	}
	var hosts []string
	if !silent(err) {
		hosts, err = dns.LookupHost(ctx, domain)
	}
	switch {
	case len(hosts) > 0:
		f.OK("%s takes mail (A, without an MX)", domain)
	case silent(err):
		unanswered(f, "whether "+domain+" takes mail is not known")
	default:
		f.Error("send from a domain that exists and takes mail, or give this one an MX", "%s has neither MX nor A: most receivers refuse what comes from it", domain)
	}
}

// records returns the TXT records of a name that begin with a version tag.
func records(ctx context.Context, dns *net.Resolver, name, tag string) (found []string, err error) {
	texts, err := dns.LookupTXT(ctx, name)
	for _, t := range texts {
		version, _, _ := strings.Cut(t, " ")
		version, _, _ = strings.Cut(version, ";")
		if strings.EqualFold(strings.TrimSpace(version), tag) {
			found = append(found, t)
		}
	}
	return found, err
}

func checkSPF(ctx context.Context, f *notice.Findings, domain string, dns *net.Resolver) {
	found, err := records(ctx, dns, domain, "v=spf1")
	switch {
	case len(found) > 1:
		f.Error("join them into one", "%s has %d SPF records: receivers take that for an error (RFC 7208 §4.5)", domain, len(found))
	case len(found) == 1 && strings.Contains(strings.ToLower(" "+found[0]+" "), " +all "):
		f.Warning("end it with -all or ~all", "the SPF record of %s lets everybody send for it (+all)", domain)
	case len(found) == 1:
		f.OK("%s has an SPF record; see that it names every relay", domain)
	case silent(err):
		unanswered(f, "the SPF record of "+domain+" is not known")
	default:
		f.Warning("add a TXT record such as \"v=spf1 include:… -all\" that names every relay", "%s has no SPF record: large receivers may refuse the mails or take them for spam", domain)
	}
}

func checkDMARC(ctx context.Context, f *notice.Findings, domain string, dns *net.Resolver) {
	found, err := records(ctx, dns, "_dmarc."+domain, "v=DMARC1")
	if len(found) == 0 && !silent(err) {
		if above, e := publicsuffix.EffectiveTLDPlusOne(domain); e == nil && above != domain {
			found, err = records(ctx, dns, "_dmarc."+above, "v=DMARC1")
		}
	}
	switch {
	case len(found) > 0:
		f.OK("%s has a DMARC record", domain)
	case silent(err):
		unanswered(f, "the DMARC record of "+domain+" is not known")
	default:
		f.Warning("add a TXT record at _dmarc."+domain+" such as \"v=DMARC1; p=none; rua=mailto:…\"", "%s has no DMARC record: large receivers want one from whoever sends thousands of mails", domain)
	}
}
