package ledger

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"

	"tocsin/internal/notice"
)

// lots draw mailboxes of a plan at random while its rows go by, in a memory that does not grow with them. The seed comes from the notice, so
// that the same notice over the same rows draws the same ones.
type lots struct {
	random *rand.ChaCha8
	by     map[string]*lot // by language
}

// lot keeps the mailboxes of a language that drew the lowest numbers.
type lot struct {
	language string
	count    int // all of that language
	drawn    drawn
}

type ticket struct {
	number uint64
	seq    int32
}

func newLots(seed []byte) *lots {
	return &lots{random: rand.NewChaCha8([32]byte(seed)), by: map[string]*lot{}}
}

// add has a mailbox take part.
func (l *lots) add(language string, seq int32) {
	of := l.by[language]
	if of == nil {
		of = &lot{language: language}
		l.by[language] = of
	}
	of.count++
	t := ticket{l.random.Uint64(), seq}
	switch {
	case len(of.drawn) < notice.MostCanary:
		heap.Push(&of.drawn, t)
	case t.number < of.drawn[0].number:
		of.drawn[0] = t
		heap.Fix(&of.drawn, 0)
	}
}

// order returns the first mailboxes that a canary takes: one of each language, and from then on each language has its share, whatever the size of
// the canary (Sainte-Laguë). Domains have theirs as far as chance gives it.
func (l *lots) order(most int) []int32 {
	all := make([]*lot, 0, len(l.by))
	for _, of := range l.by {
		slices.SortFunc(of.drawn, func(a, b ticket) int { return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.seq, b.seq)) })
		all = append(all, of)
	}
	slices.SortFunc(all, func(a, b *lot) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.language, b.language)) })
	taken, seqs := make([]int, len(all)), []int32{}
	for len(seqs) < most {
		next := -1
		for i, of := range all {
			if taken[i] < len(of.drawn) && (next < 0 || of.deserves(taken[i]) > all[next].deserves(taken[next])) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		seqs = append(seqs, all[next].drawn[taken[next]].seq)
		taken[next]++
	}
	return seqs
}

// deserves is how much the language, of which so many were taken, deserves the next.
func (of *lot) deserves(taken int) float64 {
	if taken == 0 {
		return float64(of.count) * 2e9 // before all that have one
	}
	return float64(of.count) / float64(2*taken+1)
}

// chunksAround are the bounds of the chunks over so many rows: each of a canary has one of its own.
func chunksAround(rows int, canary []int32) (lo, hi []int32, alone []bool) {
	add := func(from, to int32, is bool) { lo, hi, alone = append(lo, from), append(hi, to), append(alone, is) }
	var at int32
	upTo := func(end int32) {
		for ; at < end; at = min(at+ChunkSize, end) {
			add(at, min(at+ChunkSize, end), false)
		}
	}
	for _, seq := range slices.Sorted(slices.Values(canary)) {
		upTo(seq)
		add(seq, seq+1, true)
		at = seq + 1
	}
	upTo(int32(rows))
	return lo, hi, alone
}

// drawn is a heap with the highest number first.
type drawn []ticket

func (d drawn) Len() int           { return len(d) }
func (d drawn) Less(i, j int) bool { return d[i].number > d[j].number }
func (d drawn) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *drawn) Push(x any)        { *d = append(*d, x.(ticket)) }
func (d *drawn) Pop() any          { last := (*d)[len(*d)-1]; *d = (*d)[:len(*d)-1]; return last }
