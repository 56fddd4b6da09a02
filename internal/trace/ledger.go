package trace

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	otlp "go.opentelemetry.io/otel/trace"

	"tocsin/internal/delivery"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// Ledger has the chunks and attempts of a worker told, by standing between the worker and its ledger. A chunk's span lasts from
// its claim until it is given back, that of an attempt from its mark to the answer.
func (t *Tracer) Ledger(l delivery.Ledger) delivery.Ledger {
	if t == nil {
		return l
	}
	return &traced{Ledger: l, Tracer: t, releases: map[int64]release{}, chunks: map[chunk]otlp.Span{}, marks: map[ledger.Attempt]time.Time{}}
}

type traced struct {
	delivery.Ledger
	*Tracer

	mu       sync.Mutex
	releases map[int64]release            // by notice
	chunks   map[chunk]otlp.Span          // that are worked
	marks    map[ledger.Attempt]time.Time // that have no outcome yet: when they were asked for
}

// chunk is a claim of one.
type chunk struct{ id, epoch int64 }

// release is the parent of a notice's chunks.
type release struct {
	at    otlp.SpanContext
	class string
}

// releasesMax is how many notices are remembered.
const releasesMax = 64

// release returns that of a notice, which the ledger is asked for once.
func (l *traced) release(ctx context.Context, noticeID int64) (release, error) {
	l.mu.Lock()
	r, ok := l.releases[noticeID]
	l.mu.Unlock()
	if ok {
		return r, nil
	}
	n, err := l.Ledger.Notice(ctx, noticeID)
	if err != nil {
		return r, err
	}
	trace, span := identity(n.MessageToken)
	r = release{class: class(n),
		at: otlp.NewSpanContext(otlp.SpanContextConfig{TraceID: trace, SpanID: span, TraceFlags: otlp.FlagsSampled, Remote: true})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.releases) >= releasesMax {
		clear(l.releases)
	}
	l.releases[noticeID] = r
	return r, nil
}

// Claim passes on, and begins the span of a chunk that owes something. A ledger that does not tell the notice costs the span alone.
func (l *traced) Claim(ctx context.Context, id int64, holder string) (ledger.Claim, bool, error) {
	began := time.Now()
	c, ok, err := l.Ledger.Claim(ctx, id, holder)
	if err != nil || !ok || len(c.Due) == 0 {
		return c, ok, err
	}
	r, err := l.release(ctx, c.NoticeID)
	if err != nil {
		return c, ok, nil
	}
	_, span := l.tracer.Start(otlp.ContextWithRemoteSpanContext(context.Background(), r.at), "work "+r.class, otlp.WithTimestamp(began),
		otlp.WithSpanKind(otlp.SpanKindConsumer), otlp.WithAttributes(attributes("process", "work", r.class, c.NoticeID)...))
	span.SetAttributes(attribute.Int("messaging.batch.message_count", len(c.Due)), attribute.Int64("tocsin.chunk.id", c.ChunkID),
		attribute.Int64("tocsin.chunk.epoch", c.Epoch))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chunks[chunk{c.ChunkID, c.Epoch}] = span
	return c, ok, nil
}

// CloseChunk passes on, and ends the span of the chunk: nothing of it is under way any more.
func (l *traced) CloseChunk(ctx context.Context, c ledger.Claim) (owed bool, err error) {
	owed, err = l.Ledger.CloseChunk(ctx, c)
	at := chunk{c.ChunkID, c.Epoch}
	l.mu.Lock()
	span := l.chunks[at]
	delete(l.chunks, at)
	maps.DeleteFunc(l.marks, func(m ledger.Attempt, _ time.Time) bool { return chunk{m.ChunkID, m.Epoch} == at })
	l.mu.Unlock()
	if span != nil {
		span.SetAttributes(attribute.Bool("tocsin.chunk.owed", owed))
		span.End()
	}
	return owed, err
}

// Commit passes on, and tells of the attempts in the outcomes that the ledger took.
func (l *traced) Commit(ctx context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) ([]bool, error) {
	now := time.Now()
	l.mu.Lock()
	for _, m := range marks {
		m.Again = false
		if _, asked := l.marks[m]; !asked {
			l.marks[m] = now
		}
	}
	l.mu.Unlock()
	granted, err := l.Ledger.Commit(ctx, marks, outcomes)
	if err != nil {
		return granted, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range outcomes {
		l.attempt(o)
	}
	return granted, nil
}

// attempt tells of an attempt. The text of its answer may hold an address, and is left out. The caller holds the mutex.
func (l *traced) attempt(o ledger.Outcome) {
	at := o.Attempt
	at.Again = false
	began, marked := l.marks[at]
	delete(l.marks, at)
	parent := l.chunks[chunk{o.ChunkID, o.Epoch}]
	if parent == nil || o.State == notice.DeliverySent && o.Seq%l.every != 0 {
		return
	}
	if !marked || began.After(o.Heard) {
		began = o.Heard
	}
	_, span := l.tracer.Start(otlp.ContextWithSpan(context.Background(), parent), "send", otlp.WithTimestamp(began),
		otlp.WithSpanKind(otlp.SpanKindClient), otlp.WithAttributes(attributes("send", "send", o.Answer.Relay, o.NoticeID)...))
	span.SetAttributes(attribute.Int("tocsin.delivery.seq", o.Seq), attribute.String("tocsin.delivery.state", o.State.String()))
	if o.Answer.Code != 0 {
		span.SetAttributes(attribute.Int("tocsin.smtp.code", o.Answer.Code), attribute.String("tocsin.smtp.enhanced", o.Answer.Enhanced))
	}
	if o.State != notice.DeliverySent {
		span.SetAttributes(attribute.String("error.type", o.State.String()))
		span.SetStatus(codes.Error, "")
	}
	span.End(otlp.WithTimestamp(o.Heard))
}
