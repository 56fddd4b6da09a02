package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// chaosTable keeps which faults there were, and how soon the system got over them.
type chaosTable struct {
	names   []string
	times   map[string]int
	took    map[string][]time.Duration // a pair of faults has a row of its own
	skipped map[string]error
}

func newChaosTable() *chaosTable {
	return &chaosTable{times: map[string]int{}, took: map[string][]time.Duration{}, skipped: map[string]error{}}
}

const twoAtOnce = "two of them at once"

func (c *chaosTable) skip(name string, why error) { c.skipped[name] = why }

func (c *chaosTable) recovered(s step, took time.Duration) {
	for _, k := range s.kinds {
		c.times[k.name]++
	}
	name := s.kinds[0].name
	if len(s.kinds) > 1 {
		name = twoAtOnce
		c.times[name]++
	}
	c.took[name] = append(c.took[name], took)
}

// String is the table: how often, and the mean and the longest time to recover from a fault that came alone.
func (c *chaosTable) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "fault\ttimes\tseconds to recover\tat most\n")
	names := slices.DeleteFunc(slices.Clone(c.names), func(name string) bool { return c.times[name] == 0 })
	for _, name := range append(names, twoAtOnce) {
		mean, most := "", ""
		if took := c.took[name]; len(took) > 0 {
			sum := time.Duration(0)
			for _, d := range took {
				sum += d
			}
			mean, most = fmt.Sprintf("%.1f", sum.Seconds()/float64(len(took))), fmt.Sprintf("%.1f", slices.Max(took).Seconds())
		}
		times := fmt.Sprint(c.times[name])
		if why := c.skipped[name]; why != nil {
			times, mean, most = "0", "skipped: "+why.Error(), ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, times, mean, most)
	}
	w.Flush()
	return b.String()
}

// verdict is the outcome of a run.
type verdict struct {
	recipients, mails, sent, doubles, lost int
	uncertain, arrived                     int // of the uncertain ones: in the sink
	unexplained                            int // of the uncertain ones: no connection was cut under them
	superseded, oldNews                    int
	problems                               []string
}

const problemsShown = 20

func (v *verdict) problem(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// check holds the ledger's account of every notice against the mails in the sink and the answers of the relays.
func (c *chaos) check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	var v verdict
	accounted := map[string]bool{}
	var reports [][]notice.Delivery
	for _, key := range c.keys {
		st := c.status(key)
		rows := c.report(key)
		reports = append(reports, rows)
		sum := 0
		for _, n := range st.Counts {
			sum += n
		}
		if sum != st.Recipients || len(rows) != st.Recipients {
			v.problem("notice %s has %d recipients, its counts %v add up to %d, and its report has %d rows", key, st.Recipients, st.Counts, sum, len(rows))
		}
		v.recipients += st.Recipients
		for _, row := range rows {
			accounted[row.MessageID] = true
			c.checkRow(&v, key, row)
		}
	}
	c.checkMails(&v, accounted)
	v.oldNews = c.oldNews(reports)
	most := openMarks * c.harmed
	if v.unexplained > most {
		v.problem("%d deliveries are uncertain whose connection was not cut, %d harmed workers explain %d at most", v.unexplained, c.harmed, most)
	}
	c.t.Logf("seed %d: %d recipients, %d workers, lease %s, %s in all, %.1f s from the last fault to the end\n\n%s\n"+
		"mails %d, sent %d, doubles %d, lost %d, old news %d, superseded %d, uncertain %d (%d of them taken): %d where a relay cut the connection, %d where %d workers were killed or stopped, which explain %d at most\n",
		c.seed, v.recipients, c.chaosPlan.workers, c.lease, c.took.Round(time.Second), c.toFinish.Seconds(), c.table,
		v.mails, v.sent, v.doubles, v.lost, v.oldNews, v.superseded, v.uncertain, v.arrived, v.uncertain-v.unexplained, v.unexplained, c.harmed, most)
	if v.doubles > 0 || v.lost > 0 || v.oldNews > 0 {
		c.t.Errorf("%d doubles, %d lost, %d old news", v.doubles, v.lost, v.oldNews)
	}
	for _, p := range v.problems[:min(len(v.problems), problemsShown)] {
		c.t.Error(p)
	}
	if more := len(v.problems) - problemsShown; more > 0 {
		c.t.Errorf("and %d more", more)
	}
}

// checkRow judges one delivery. The caller holds the locks of c and of its wire.
func (c *chaos) checkRow(v *verdict, key string, row notice.Delivery) {
	got := c.mails[row.MessageID]
	name := fmt.Sprintf("delivery %d of %s, %s after %d attempts", row.Seq, key, row.State, row.Attempts)
	if a, err := audience.ParseAddress(row.Address); err != nil {
		v.problem("%s: %v", name, err)
	} else if want := (arrival{key, a.Key()}); slices.ContainsFunc(got, func(m arrival) bool { return m != want }) {
		v.problem("%s: its mail went elsewhere", name)
	}
	if len(got) > 1 {
		v.problem("%s: %d mails", name, len(got))
	}
	if c.wire.kept[row.MessageID] && row.State != notice.DeliveryUncertain {
		v.problem("%s, and the connection was cut instead of the answer to its dot", name)
	}
	switch {
	case row.State == notice.DeliverySent:
		v.sent++
		if len(got) == 0 {
			v.lost++
			v.problem("%s: the sink has no mail", name)
		}
		if !c.wire.told[row.MessageID] {
			v.problem("%s: no relay has answered its dot", name)
		}
	case row.State == notice.DeliveryUncertain:
		v.uncertain++
		v.arrived += min(1, len(got))
		if !c.wire.cut[row.MessageID] {
			v.unexplained++
		}
	case row.State == notice.DeliveryCancelled && row.Reason == "superseded" && key != c.keys[len(c.keys)-1] && len(got) == 0:
		v.superseded++
	default:
		v.lost++
		v.problem("%s (%s %d %s), and the sink has %d mails", name, row.Reason, row.SMTPCode, row.SMTPText, len(got))
	}
}

// checkMails counts the mails in the sink, by their notice and mailbox.
func (c *chaos) checkMails(v *verdict, accounted map[string]bool) {
	per := map[arrival]int{}
	for id, mails := range c.mails {
		v.mails += len(mails)
		for _, m := range mails {
			per[m]++
		}
		if !accounted[id] {
			v.problem("%d mails have a Message-ID that no report names", len(mails))
		}
	}
	for _, n := range per {
		v.doubles += n - 1
	}
}
