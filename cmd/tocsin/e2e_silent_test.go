package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/send"
	"tocsin/internal/sink"
)

// swallow has a sink take mails and answer none of them before the end of silence.
type swallow struct {
	over chan struct{}
	once sync.Once
}

func swallowing(t *testing.T) *swallow {
	w := &swallow{over: make(chan struct{})}
	t.Cleanup(w.end)
	return w
}

func (w *swallow) take(sink.Mail) { <-w.over }

func (w *swallow) end() { w.once.Do(func() { close(w.over) }) }

// silent reports whether a relay is shown as silent, with so many mails without an answer.
func silent(st notice.Status, relay string, mails int) bool {
	return st.Pace != nil && slices.ContainsFunc(st.Pace.Relays, func(h notice.RelayHealth) bool {
		return h.Relay == relay && h.State == notice.RelaySilent && h.Unanswered == mails
	})
}

func TestTheNextRelayHasTheMailsWhileTheFirstSwallowsThem(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_RELAY_SILENCE=1s")
	w := swallowing(t)
	first := startSink(t, "127.0.0.1:0", sink.Options{OnMail: w.take})
	s.relays(fmt.Sprintf("smtp://%s?name=first", first.Addr()), fmt.Sprintf("smtp://%s?name=second", s.sink.Addr()))
	const n, stuck = 600, send.DefaultConnections
	s.customers(n)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	st := s.await("outage-1", "all but one a connection of the first relay", func(st notice.Status) bool {
		return st.Counts["sent"] == n-stuck && silent(st, "first", stuck)
	})
	if st.Counts["sending"] != stuck || first.Count() != stuck {
		t.Errorf("%v; the first relay has %d mails", st.Counts, first.Count())
	}
	if out, _, _ := s.run("notice", "status", "outage-1"); !strings.Contains(out, "Relay first") ||
		!strings.Contains(out, "silent in 1 of 1 workers: mails without an answer: 16") {
		t.Errorf("the status says\n%s", out)
	}
	w.end()
	s.await("outage-1", "finished", finished)
	by := map[string]int{}
	for _, row := range s.report("outage-1") {
		by[row.State.String()+" "+row.Relay]++
	}
	if by["sent first"] != stuck || by["sent second"] != n-stuck {
		t.Errorf("%v", by)
	}
	s.must(nil, "notice", "send", s.notice("outage-2"), "--yes")
	s.await("outage-2", "sent by the first relay, which answers again", func(st notice.Status) bool {
		return finished(st) && !slices.ContainsFunc(s.report("outage-2"), func(d notice.Delivery) bool { return d.Relay != "first" })
	})
}

// TestMailsWaitForTheOnlyRelayThatSwallowsThem: only one mail a connection is marked, and the others wait. A worker
// that is stopped leaves no more than the marked ones uncertain.
func TestMailsWaitForTheOnlyRelayThatSwallowsThem(t *testing.T) {
	t.Parallel()
	w := swallowing(t)
	s := startOn(t, sharedServices(t), sink.Options{OnMail: w.take}, "TOCSIN_RELAY_SILENCE=1s", "TOCSIN_DRAIN=1s")
	s.relays(fmt.Sprintf("smtp://%s?name=only", s.sink.Addr()))
	const n, stuck = 300, send.DefaultConnections
	s.customers(n)
	worker := s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	st := s.await("outage-1", "waiting", func(st notice.Status) bool {
		return st.Counts["sending"] == stuck && silent(st, "only", stuck)
	})
	if st.Counts["queued"]+st.Counts["deferred"] != n-stuck || st.Counts["deferred"] > 64-stuck {
		t.Errorf("%v", st.Counts)
	}
	if out, _, _ := s.run("notice", "status", "outage-1"); !strings.Contains(out, "relay only takes mails and does not answer") {
		t.Errorf("the status says\n%s", out)
	}
	if code := worker.stop(); code != 0 {
		t.Errorf("the worker ends with %d:\n%s", code, lastLines(worker.log.String(), 20))
	}
	w.end()
	s.work()
	s.await("outage-1", "finished", finished)
	if st := s.settled("outage-1", stuck); st.Counts["sent"] != n-stuck || st.Counts["uncertain"] != stuck {
		t.Errorf("%v", st.Counts)
	}
}
