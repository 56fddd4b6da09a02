// Command generate writes examples/customers.csv: 2,000 made-up customers, the same ones each time.
//
//	go run ./examples/generate > examples/customers.csv
package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	customers = 2000
	broken    = "mail.example"       // the mail platform that is down in examples/mail-outage
	gipfel    = "gipfelpost.example" // the mailboxes on the broken server of examples/server-outage
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	if err := write(out); err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// row is one customer; its fields are the columns.
type row struct {
	name, email, alternate, language, zone, plan, server, region string
	affected, rebate                                             string // in examples/mail-restored
}

// write writes the file.
func write(w io.Writer) error {
	g := &generator{rand: rand.New(rand.NewPCG(17, 4)), taken: map[string]bool{}}
	out := csv.NewWriter(w)
	out.Write([]string{"id", "name", "email", "alternate_email", "language", "time_zone", "plan", "server", "region", "mail_affected", "rebate"})
	for i, r := range g.all() {
		id := fmt.Sprintf("C%05d", 10001+i)
		out.Write([]string{id, r.name, r.email, r.alternate, r.language, r.zone, r.plan, r.server, r.region, r.affected, r.rebate})
	}
	out.Flush()
	return out.Error()
}

type generator struct {
	rand  *rand.Rand
	taken map[string]bool // local parts, so that nobody shares a mailbox by chance
}

// all makes the special customers first and fills up with ordinary ones; then it shuffles.
func (g *generator) all() []row {
	rows := g.scripted()
	for i := range 38 {
		rows = append(rows, g.shared(2+i%3)...)
	}
	for range 20 {
		rows = append(rows, g.twins()...)
	}
	for range 6 {
		rows = append(rows, g.idnTwins()...)
	}
	for i := range 60 {
		rows = append(rows, g.onBroken(i%4 != 0))
	}
	rows = append(rows, g.onServers()...)
	for range 30 {
		r := g.person(g.culture())
		r.email = ""
		rows = append(rows, r)
	}
	for len(rows) < customers {
		rows = append(rows, g.person(g.culture()))
	}
	g.rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// scripted are the mailboxes that tocsin sink treats in a special way.
func (g *generator) scripted() (rows []row) {
	for _, word := range []string{"tempfail", "tempfail", "tempfail", "tempfail", "permfail", "permfail", "permfail", "slow", "drop-before-dot"} {
		r := g.person(g.culture())
		r.email, r.plan = word+"."+r.email, "basic"
		rows = append(rows, r)
	}
	return rows
}

// shared is one mailbox that runs n businesses of a family; now and then one of them is kept in another language.
func (g *generator) shared(n int) []row {
	c := g.culture()
	written, latin, _ := strings.Cut(g.pick(c.last), ":")
	if latin == "" {
		latin = ascii(written)
	}
	mailbox := g.unique("office."+latin) + "@" + g.pick(c.domains)
	var rows []row
	for i := range n {
		r := g.person(c)
		r.name, r.email = fmt.Sprintf(c.firms[i], written), mailbox
		if i == n-1 && g.rand.IntN(3) == 0 {
			other := g.culture()
			r.language, r.zone = other.language, other.zones[0]
		}
		rows = append(rows, r)
	}
	return rows
}

// twins are two accounts of one person: the address is typed differently in each.
func (g *generator) twins() []row {
	c := g.culture()
	a := g.person(c)
	b := g.person(c)
	local, domain, _ := strings.Cut(a.email, "@")
	b.name, b.language, b.zone = a.name, a.language, a.zone
	parts := strings.Split(local, ".")
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	b.email = strings.Join(parts, ".") + "@" + strings.ToUpper(domain[:1]) + domain[1:]
	return []row{a, b}
}

// idnTwins are two accounts at one mailbox. One writes its domain in letters, the other as an A-label.
func (g *generator) idnTwins() []row {
	a := g.person(&cultures[2])
	b := g.person(&cultures[2])
	local, _, _ := strings.Cut(a.email, "@")
	a.email, b.email = local+"@bücher.example", local+"@xn--bcher-kva.example"
	b.name, b.language, b.zone = a.name, a.language, a.zone
	return []row{a, b}
}

// onBroken is a customer with a mailbox on the broken platform.
func (g *generator) onBroken(alternate bool) row {
	r := g.person(g.culture())
	local, _, _ := strings.Cut(r.email, "@")
	if alternate {
		r.alternate = r.email
	}
	r.email = local + "@" + broken
	return r
}

// onServers are the customers of the servers that the example notices are about: a Swedish, a Mexican and a Swiss one.
func (g *generator) onServers() (rows []row) {
	at := func(server, language, zone, region string) *row {
		i := slices.IndexFunc(cultures, func(c culture) bool { return strings.HasPrefix(language, c.language) })
		r := g.person(&cultures[i])
		r.server, r.language, r.zone, r.region = server, language, zone, region
		rows = append(rows, r)
		return &rows[len(rows)-1]
	}
	for range 12 {
		at("s639", "sv", "Europe/Stockholm", "eu-north")
	}
	for i := range 24 {
		r := at("s681", "es-MX", "America/Mexico_City", "us-south")
		if i%8 == 0 {
			r.language, r.zone = "es-ES", "Europe/Madrid"
		}
		if i%4 != 0 {
			r.affected = "yes"
		}
		if i%4 > 1 {
			r.rebate = []string{"15", "12.5"}[i%4-2]
		}
	}
	for i := range 24 {
		r := at("s671", "de-CH", "Europe/Zurich", "eu-central")
		if i%3 == 0 {
			continue
		}
		local, _, _ := strings.Cut(r.email, "@")
		if i%6 != 5 {
			r.alternate = r.email
		}
		r.email = local + "@" + gipfel
	}
	return rows
}

// person is an ordinary customer.
func (g *generator) person(c *culture) row {
	first, firstLatin, _ := strings.Cut(g.pick(c.first), ":")
	last, lastLatin, _ := strings.Cut(g.pick(c.last), ":")
	if firstLatin == "" {
		firstLatin, lastLatin = ascii(first), ascii(last)
	}
	r := row{name: first + " " + last, language: c.language, plan: g.plan(), region: g.pick(c.regions)}
	if c.family {
		r.name = last + " " + first
	}
	r.email = g.unique(firstLatin+"."+lastLatin) + "@" + g.pick(c.domains)
	// The smaller of two dice: the first zones are the likeliest.
	r.zone = c.zones[min(g.rand.IntN(len(c.zones)), g.rand.IntN(len(c.zones)))]
	switch n := g.rand.IntN(100); {
	case n < 6:
		r.language = ""
	case n < 25:
		r.language = g.pick(c.regional)
	}
	if g.rand.IntN(100) < 7 {
		r.zone = ""
	}
	if g.rand.IntN(100) < 92 {
		r.server = fmt.Sprintf("s%d", 601+g.rand.IntN(40))
	}
	if g.rand.IntN(100) < 5 {
		r.region = ""
	}
	return r
}

func (g *generator) culture() *culture {
	n := g.rand.IntN(100)
	for i := range cultures {
		if n -= cultures[i].share; n < 0 {
			return &cultures[i]
		}
	}
	panic("the shares are less than a hundred")
}

func (g *generator) plan() string {
	plans := []string{"trial", "basic", "basic", "basic", "pro", "pro", "pro", "gold", "gold", ""}
	return g.pick(plans)
}

func (g *generator) pick(from []string) string { return from[g.rand.IntN(len(from))] }

// unique numbers a local part that is taken: anna.berg, anna.berg2, …
func (g *generator) unique(local string) string {
	name := local
	for n := 2; g.taken[name]; n++ {
		name = fmt.Sprintf("%s%d", local, n)
	}
	g.taken[name] = true
	return name
}

var german = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss")

// ascii spells a name in the letters of an address.
func ascii(name string) string {
	s := strings.ToLower(name)
	if slices.Contains(cultures[2].first, name) || slices.Contains(cultures[2].last, name) {
		s = german.Replace(s)
	}
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || r == ' ' {
			return -1
		}
		return r
	}, norm.NFD.String(s))
}
