package delivery

import (
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestRowsForgetALate250 shows the hole of the ledger that keeps a row a delivery: a 250 that comes while a later
// attempt is marked is dropped, and a third mail may leave. scripts[late250NotOverSending] is the same schedule on the
// ledger that closes it.
func TestRowsForgetALate250(t *testing.T) {
	t.Parallel()
	clock := time.Now()
	m := &rowMemory{now: func() time.Time { return clock }, opts: ledger.Options{Lease: simLease, DotGrace: simGrace, Gate: simGate},
		chunkSize: 1, sliceSize: 1, customers: []simCustomer{{"customer0x", "m0@0.example.com"}}}
	id := m.draft(simBody("n1"), simTexts)
	if _, err := m.release(id, everybody, "example.net"); err != nil {
		t.Fatal(err)
	}
	m.expand(id)
	mark := func() ledger.Attempt {
		clock = clock.Add(2 * simLease)
		c, ok := m.claim(1, "w")
		at := ledger.Attempt{NoticeID: id, ChunkID: 1, Epoch: c.Epoch}
		if granted, _ := m.commit(m.look([]ledger.Attempt{at}, nil), []ledger.Attempt{at}, nil); !ok || !granted[0] {
			t.Fatalf("the mark was refused: %v", m.delivery(at))
		}
		return at
	}
	lost := mark() // its dot goes out, and its worker is not heard of
	clock = clock.Add(2 * simLease)
	c, _ := m.claim(1, "w")
	clock = clock.Add(simGrace + simGate + time.Second)
	if done, err := m.settle(id, notice.Settlement{Requeue: true, AllUncertain: true}, "", "op"); done.Changed != 1 {
		t.Fatalf("requeue: %+v, %v", done, err)
	}
	m.closeChunk(c)
	second := mark()
	m.recordLate([]ledger.Outcome{{Attempt: lost, State: notice.DeliverySent}})
	m.recordLate([]ledger.Outcome{{Attempt: second, State: notice.DeliveryDeferred}})
	if third := mark(); third.Epoch <= second.Epoch {
		t.Errorf("the third mark has epoch %d", third.Epoch)
	}
}
