package notice

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// BounceClass is why a mail came back. Only NoMailbox and Full are about the mailbox.
type BounceClass string

// The classes.
const (
	BounceNoMailbox BounceClass = "no_such_mailbox" // the mailbox or its domain does not exist, or has moved
	BounceFull      BounceClass = "full"            // the mailbox takes nothing more for now
	BouncePolicy    BounceClass = "policy"          // refused for the sender, the content or the way it came: our side's fault
	BounceTransient BounceClass = "transient"       // trouble of servers, networks or rates that lasted too long
	BounceOther     BounceClass = "other"           // anything else, such as a mailbox that was disabled
)

// BounceClasses are all of them.
var BounceClasses = []BounceClass{BounceNoMailbox, BounceFull, BouncePolicy, BounceTransient, BounceOther}

// Bounces counts the mails that came back, of a notice or of several.
type Bounces struct {
	Bounced    int            `json:"bounced"`
	Percent    float64        `json:"percent"`    // bounced of the mails that a relay took, with one decimal
	ByClass    map[string]int `json:"by_class"`   // each of the five
	Complaints int            `json:"complaints"` // mails that their readers call spam
	// PolicyDomains are the domains from which more than 5 % of the mails of a notice came back, refused by policy.
	PolicyDomains []string `json:"policy_domains"`
	// ByDomain has the domains from which most came back, in reports alone; MoreDomains is how many others there are.
	ByDomain    []DomainBounces `json:"by_domain,omitempty"`
	MoreDomains int             `json:"more_domains,omitempty"`
}

// DomainBounces counts the mails that came back from one domain.
type DomainBounces struct {
	Domain     string         `json:"domain"` // "" = of erased customers, or of notices without rows any more
	Mails      int            `json:"mails"`  // that left to it
	Bounced    int            `json:"bounced"`
	ByClass    map[string]int `json:"by_class"` // those classes that there are
	Complaints int            `json:"complaints"`
}

// domainsListed is how many domains a report lists.
const domainsListed = 50

// NewBounces returns the counts of mails that came back, by class, with complaints as KindComplaint. It adds the domains that refuse
// too many by policy. counts are the mails by state.
func NewBounces(back map[string]int, refusing []string, counts map[string]int) Bounces {
	b := Bounces{ByClass: map[string]int{}, Complaints: back[string(KindComplaint)], PolicyDomains: append([]string{}, refusing...)}
	for _, class := range BounceClasses {
		n := back[string(class)]
		b.ByClass[string(class)] = n
		b.Bounced += n
	}
	if took := counts[DeliverySent.String()] + counts[DeliveryBounced.String()]; took > 0 {
		b.Percent = math.Round(1000*float64(b.Bounced)/float64(took)) / 10
	}
	return b
}

// ListDomains lists the domains from which most mails came back, given the counts as of NewBounces by domain. It returns their names.
func (b *Bounces) ListDomains(back map[string]map[string]int) (names []string) {
	for _, domain := range slices.Sorted(maps.Keys(back)) {
		classes := maps.Clone(back[domain])
		d := DomainBounces{Domain: domain, Complaints: classes[string(KindComplaint)], ByClass: classes}
		delete(classes, string(KindComplaint))
		for _, n := range classes {
			d.Bounced += n
		}
		b.ByDomain = append(b.ByDomain, d)
	}
	slices.SortStableFunc(b.ByDomain, func(a, b DomainBounces) int {
		return cmp.Or(cmp.Compare(b.Bounced, a.Bounced), cmp.Compare(b.Complaints, a.Complaints))
	})
	listed := min(domainsListed, len(b.ByDomain))
	b.ByDomain, b.MoreDomains = b.ByDomain[:listed], len(b.ByDomain)-listed
	for _, d := range b.ByDomain {
		names = append(names, d.Domain)
	}
	return names
}
