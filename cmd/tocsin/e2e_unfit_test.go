package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// TestTheDryRunCountsTheMailsThatNoRelayTakes, by the relays' own offers: those that it counts fail, and no others.
func TestTheDryRunCountsTheMailsThatNoRelayTakes(t *testing.T) {
	t.Parallel()
	s := prepare(t, sharedServices(t), usualSink)
	small := startSink(t, "127.0.0.1:0", sink.Options{MaxSize: 16_000, ASCII: true})
	s.relays("smtp://" + small.Addr().String() + "?name=small")
	s.server = s.launch("serve")
	long := strings.TrimSpace(strings.Repeat("many words ", 350))
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,language,notes,more\n" +
		"c1,Customer 1,c1@example.com,en,short,short\nc2,Customer 2,jürgen@example.com,en,short,short\nc3,Customer 3,c3@bücher.example,en,short,short\n" +
		"c4,Customer 4,c4@example.com,en," + long + "," + long + "\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	dir := s.write(map[string]string{"notice.yaml": "key: down\nkind: outage\nphase: identified\naudience: all\n",
		"en.md": "---\nsubject: Mail is down\n---\nDear {{.Customer.Name}}, {{.Customer.Attributes.notes}} {{.Customer.Attributes.more}}\n"})
	var p notice.Plan
	s.must(&p, "notice", "preview", dir, "--json")
	if p.Unfit == nil || p.Unfit.SMTPUTF8 != 1 || p.Unfit.Size != 1 || len(p.Unfit.Offers) != 1 || p.Unfit.Offers[0].MaxSize != 16_000 {
		t.Errorf("the dry run has %+v", p.Unfit)
	}
	out, _, _ := s.run("notice", "preview", dir)
	for _, want := range []string{"which needs SMTPUTF8", "larger than its SIZE"} {
		if !strings.Contains(out, want) {
			t.Errorf("the dry run lacks %q: %s", want, out)
		}
	}
	s.work()
	s.must(nil, "notice", "send", dir, "--yes")
	s.await("down", "finished", finished)
	failed := map[string]string{}
	for _, d := range s.report("down") {
		if d.State == notice.DeliveryFailed {
			failed[d.Address] = d.SMTPText
		} else if d.State != notice.DeliverySent {
			t.Errorf("%+v", d)
		}
	}
	if len(failed) != 2 || !strings.Contains(failed["jürgen@example.com"], "SMTPUTF8") || !strings.Contains(failed["c4@example.com"], "SIZE") {
		t.Errorf("these failed: %v", failed)
	}

	// A relay that can't be asked counts as one that takes all, and the dry run says so.
	away := s.with()
	away.relays("smtp://"+small.Addr().String()+"?name=small", "smtp://"+freeAddress(t)+"?name=away")
	api := freeAddress(t)
	away = away.with("TOCSIN_LISTEN="+api, "TOCSIN_URL=http://"+api)
	away.launch("serve")
	p = notice.Plan{}
	away.must(&p, "notice", "preview", dir, "--json")
	if p.Unfit == nil || p.Unfit.SMTPUTF8 != 0 || p.Unfit.Size != 0 || len(p.Unfit.Offers) != 2 || p.Unfit.Offers[1].Error == "" {
		t.Errorf("with a relay that is away the dry run has %+v", p.Unfit)
	}
}
