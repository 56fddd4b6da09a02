package bounce

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

var corpus = flag.String("corpus", os.Getenv("TOCSIN_TEST_BOUNCES"), "a directory of mails with an index.tsv (file, kind, recipient, status, reply code, reason, hard)")

// expected are the classes for the reasons that an index may give. A reason that is not here says nothing of ours.
var expected = map[string]notice.BounceClass{
	"userunknown": notice.BounceNoMailbox, "hostunknown": notice.BounceNoMailbox, "hasmoved": notice.BounceNoMailbox,
	"mailboxfull": notice.BounceFull,
	"blocked":     notice.BouncePolicy, "rejected": notice.BouncePolicy, "spamdetected": notice.BouncePolicy, "policyviolation": notice.BouncePolicy,
	"authfailure": notice.BouncePolicy, "badreputation": notice.BouncePolicy, "notcompliantrfc": notice.BouncePolicy, "norelaying": notice.BouncePolicy,
	"securityerror": notice.BouncePolicy, "requireptr": notice.BouncePolicy,
	"expired": notice.BounceTransient, "systemerror": notice.BounceTransient, "networkerror": notice.BounceTransient, "toomanyconn": notice.BounceTransient, "ratelimited": notice.BounceTransient,
}

// TestCorpus reads the mails of a directory and prints a table by kind and by class: how many mails it recognises, how
// many of these match the index, and how many are wrong or missed. Given no directory, by -corpus or
// TOCSIN_TEST_BOUNCES, it is skipped.
//
//	make corpus CORPUS=DIR
func TestCorpus(t *testing.T) {
	if *corpus == "" {
		t.Skip("no -corpus DIR and no TOCSIN_TEST_BOUNCES")
	}
	index, err := os.ReadFile(filepath.Join(*corpus, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][][]string{}
	for line := range strings.Lines(string(index)) {
		if cells := strings.Split(strings.TrimRight(line, "\n"), "\t"); len(cells) >= 7 && cells[0] != "file" {
			rows[cells[0]] = append(rows[cells[0]], cells)
		}
	}
	kinds, classes, clues := map[string][3]int{}, map[string][3]int{}, map[string][3]int{}
	for _, file := range slices.Sorted(maps.Keys(rows)) {
		raw, err := os.ReadFile(filepath.Join(*corpus, file))
		if err != nil {
			t.Fatal(err)
		}
		m, kind := Read(raw), rows[file][0][1]
		right := m.Kind == wantKind[kind] || kind == "bounce" && (m.Kind == Delay || m.Kind == Delivery)
		count(kinds, kind, m.Kind != Other, right)
		if !right {
			t.Logf("%s is %s and not %s", file, m.Kind, kind)
		}
		if kind != "bounce" {
			if m.Kind == Bounce {
				t.Errorf("%s (%s) is taken for a bounce", file, kind)
			}
			continue
		}
		count(clues, "Message-ID", m.MessageID != "", m.MessageID != "")
		for i, cells := range rows[file] {
			want, known := expected[cells[5]]
			if !known {
				continue
			}
			var got Recipient
			if i < len(m.Recipients) {
				got = m.Recipients[i]
			}
			count(classes, string(want), got.Class != "", got.Class == want)
			count(clues, "address", got.Final != "", got.Final != "")
			if got.Class != want || got.Final == "" {
				t.Logf("%s: recipient %d is %s and not %s (%s): %+v", file, i+1, got.Class, want, cells[5], m.Recipients)
			}
		}
	}
	t.Logf("%-24s %5s %10s %7s %5s", "", "mails", "recognised", "matched", "wrong")
	report(t, "kind", kinds)
	report(t, "class", classes)
	report(t, "clue", clues)
}

var wantKind = map[string]notice.BounceKind{"bounce": Bounce, "complaint": Complaint, "auto-reply": AutoReply, "not a bounce": Other}

// count adds one to all, and to those that were recognised and those that were right.
func count(figures map[string][3]int, name string, recognised, right bool) {
	n := figures[name]
	n[0]++
	if recognised {
		n[1]++
	}
	if right {
		n[2]++
	}
	figures[name] = n
}

func report(t *testing.T, of string, figures map[string][3]int) {
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		n := figures[name]
		t.Logf("%-24s %5d %10d %7d %5d", of+" "+name, n[0], n[1], n[2], n[0]-n[2])
	}
}
