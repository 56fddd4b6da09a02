package send

import (
	"context"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/internal/notice"
)

// HelloName returns the name under which this host greets relays where none is set (RFC 5321 §4.1.4). It is the host's
// full name, else the domain of the sender, which may be "". It asks the DNS for two seconds at most.
func HelloName(ctx context.Context, sender string) string {
	host, _ := os.Hostname()
	return helloName(ctx, host, sender, net.DefaultResolver.LookupCNAME)
}

func helloName(ctx context.Context, host, sender string, canonical func(context.Context, string) (string, error)) string {
	if qualified(host) {
		return host
	}
	if host != "" && !containerID.MatchString(host) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		// As hostname -f does: /etc/hosts and the search domains may know more.
		if full, err := canonical(ctx, host); err == nil && qualified(strings.TrimSuffix(full, ".")) {
			return strings.TrimSuffix(full, ".")
		}
	}
	return sender
}

var (
	// containerID is a host name that a container engine made up.
	containerID = regexp.MustCompile(`^([0-9a-f]{12}|[0-9a-f]{64})$`)
	domainName  = regexp.MustCompile(`(?i)^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$`)

	// private are the last labels of names that mean nothing to other networks (RFC 6761, RFC 6762, RFC 9476 and usage).
	private = []string{"local", "localdomain", "localhost", "internal", "lan", "home", "corp", "intranet", "arpa", "invalid", "alt", "onion"}
)

// qualified reports whether a relay elsewhere could look the name up.
func qualified(name string) bool {
	first, _, _ := strings.Cut(name, ".")
	last := name[strings.LastIndex(name, ".")+1:]
	return domainName.MatchString(name) && len(name) <= 253 && !containerID.MatchString(first) && !slices.Contains(private, strings.ToLower(last))
}

// hello is the name in EHLO on a connection: an address literal where there is no other.
func (p *Pool) hello(r *relayState, raw net.Conn) string {
	switch {
	case r.Hello != "":
		return r.Hello
	case p.o.Hello != "":
		return p.o.Hello
	}
	host, _, _ := net.SplitHostPort(raw.LocalAddr().String())
	if strings.Contains(host, ":") {
		return "[IPv6:" + host + "]"
	}
	return "[" + host + "]"
}

// CheckHello judges the name under which relays are greeted: many refuse one that the DNS does not know.
func CheckHello(ctx context.Context, name string, dns *net.Resolver) (f notice.Findings) {
	const advice = "set TOCSIN_HELLO to a name that the DNS knows, of the address from which mails leave"
	switch {
	case name == "":
		f.Warning(advice, "relays are greeted with an IP address: there is no host name, and no TOCSIN_FROM")
		return f
	case strings.HasPrefix(name, "["):
		f.Warning(advice, "relays are greeted with the address %s: some refuse that", name)
		return f
	case !qualified(name):
		f.Warning(advice, "relays are greeted as %s, which is no full name: many refuse that", name)
		return f
	case madeUp(name):
		f.OK("relays are greeted as %s, a name for examples (RFC 2606)", name)
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := dns.LookupHost(ctx, name)
	if err != nil && !silent(err) { // Postfix's reject_unknown_helo_hostname is content with an MX
		_, err = dns.LookupMX(ctx, name)
	}
	switch {
	case err == nil:
		f.OK("relays are greeted as %s", name)
	case silent(err):
		unanswered(&f, "whether relays know "+name+", as which they are greeted, is not known")
	default:
		f.Warning(advice, "relays are greeted as %s, which the DNS does not know: many refuse that", name)
	}
	return f
}
