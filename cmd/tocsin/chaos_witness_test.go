package main

import (
	"bytes"
	"net/mail"
	"slices"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// witness remembers the mails that the relays saw, by Message-ID.
type witness struct {
	under int                  // messages under way, some of workers that are gone
	asked map[string]time.Time // when a worker was last asked for the message, which then came with its dot
	heard map[string]time.Time // when its dot first came
	told  map[string]bool      // its 250 was written to a worker, which may have been gone
	cut   map[string]bool      // the connection was cut under it
	kept  map[string]bool      // … with the dot heard, and nothing answered
}

func newWitness() witness {
	return witness{asked: map[string]time.Time{}, heard: map[string]time.Time{}, told: map[string]bool{}, cut: map[string]bool{}, kept: map[string]bool{}}
}

// note remembers something of a mail.
func (w *wire) note(of map[string]bool, messageID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of[messageID] = true
}

// came remembers when a whole message was asked for, and came.
func (w *wire) came(messageID string, asked time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[messageID] = asked
	if _, before := w.heard[messageID]; !before {
		w.heard[messageID] = time.Now()
	}
}

// busy counts a message in or out.
func (w *wire) busy(by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.under += by
}

// quiet reports whether no message is under way to the sink.
func (w *wire) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.under == 0
}

func messageID(body []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return ""
	}
	return m.Header.Get("Message-Id")
}

// oldNews counts the mails that a worker began to hand over after the same mailbox had been sent a later word on the
// incident. A dot goes out behind the relay's 354, so that one which had come before is no proof.
func (c *chaos) oldNews(reports [][]notice.Delivery) (old int) {
	later := map[string]time.Time{} // by address: the first dot of a later notice
	for _, rows := range slices.Backward(reports) {
		for _, row := range rows {
			if since, ok := later[row.Address]; ok && c.wire.asked[row.MessageID].After(since) {
				old++
			}
		}
		for _, row := range rows {
			at, came := c.wire.heard[row.MessageID]
			if since, ok := later[row.Address]; came && (!ok || at.Before(since)) {
				later[row.Address] = at
			}
		}
	}
	return old
}

func TestTheWitnessKnowsOldNews(t *testing.T) {
	t.Parallel()
	c := &chaos{wire: &wire{witness: newWitness()}}
	report := func(id string) []notice.Delivery { return []notice.Delivery{{Address: "a@example.com", MessageID: id}} }
	reports := [][]notice.Delivery{report("first"), report("second"), report("third")}
	at := time.Now()
	for _, came := range []struct {
		id    string
		asked time.Duration
		old   int // from then on
	}{
		{"first", -time.Minute, 0},
		{"third", -time.Minute, 0},
		{"third", time.Minute, 0},   // once more
		{"second", -time.Second, 0}, // it was asked for before the third had come
		{"second", time.Hour, 1},
		{"first", time.Hour, 2},
	} {
		c.wire.came(came.id, at.Add(came.asked))
		if old := c.oldNews(reports); old != came.old {
			t.Errorf("after %s at %s: %d old news, want %d", came.id, came.asked, old, came.old)
		}
	}
}
