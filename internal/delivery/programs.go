package delivery

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"tocsin/internal/bounce"
	"tocsin/internal/ledger"
	"tocsin/internal/render"
)

// program is a notice and the mails that are made of it.
type program struct {
	ledger.Notice
	keys    bounce.Keys                     // that sign the tokens of its attempts; none: they have no token
	compile func() (*render.Program, error) // its texts, for recipients of whom no compiled mail was kept
	correct func() (*render.Program, error) // likewise its corrections
	largest atomic.Int64                    // bytes of a mail so far

	mu    sync.Mutex
	mails map[int]*render.Mail // the compiled mails that were read so far; a plan bounds how many it keeps
}

// programs keeps the notices that were worked last: a released notice does not change.
type programs struct {
	load func(ctx context.Context, id int64) (*program, error)
	mu   sync.Mutex
	kept map[int64]*program
}

const programsKept = 16

// get returns the program of a notice with this message token. Two that want the same at once may both load it; nobody
// waits for another.
func (s *programs) get(ctx context.Context, id int64, token string) (*program, error) {
	s.mu.Lock()
	p := s.kept[id]
	s.mu.Unlock()
	if p != nil && p.MessageToken == token {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	p, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= programsKept {
		s.kept = map[int64]*program{}
	}
	s.kept[id] = p
	return p, nil
}

// load reads a notice.
func (w *Worker) load(ctx context.Context, id int64) (*program, error) {
	n, err := w.ledger.Notice(ctx, id)
	if err != nil {
		return nil, err
	}
	keys, err := w.ledger.BounceKeys(ctx)
	if err != nil {
		return nil, err
	}
	s := render.Settings{From: w.From, ReplyTo: w.ReplyTo, Zone: w.Zone, PublicURL: w.PublicURL}
	set := sync.OnceValue(func() *render.Set {
		set, _ := w.set.Current() // where its files don't work any more: as they did last
		return set
	})
	return &program{Notice: n, keys: keys,
		compile: sync.OnceValues(func() (*render.Program, error) { return set().Compile(render.SourceOf(n.Body, n.Texts, n.Earlier, s)) }),
		correct: sync.OnceValues(func() (*render.Program, error) { return set().Compile(render.CorrectionOf(n.Body, n.Earlier, s)) }),
	}, nil
}

// texts compiles the texts for a delivery, where they are not compiled already.
func (p *program) texts(d ledger.Due) (*render.Program, error) {
	if d.Corrects {
		return p.correct()
	}
	return p.compile()
}

// prepare returns the compiled mails that a claim's plan has kept for its deliveries, by number. It compiles the texts
// if there is a delivery without one. A mail of a version that this program does not know is an error: it is left to a
// worker that does.
func (w *Worker) prepare(ctx context.Context, c ledger.Claim) (p *program, mails map[int]*render.Mail, err error) {
	if p, err = w.notices.get(ctx, c.NoticeID, c.Token); err != nil {
		return nil, nil, err
	}
	mails, missing := p.known(c.Due)
	for _, d := range c.Due {
		if d.Mail != 0 {
			continue
		}
		if _, err := p.texts(d); err != nil {
			return nil, nil, fmt.Errorf("compile the texts: %w", err)
		}
	}
	if len(missing) == 0 {
		return p, mails, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	encoded, err := w.ledger.Mails(ctx, c.NoticeID, missing)
	if err != nil {
		return nil, nil, err
	}
	for number, m := range encoded {
		if mails[number], err = render.Decode(m); err != nil {
			return nil, nil, fmt.Errorf("mail %d of the plan: %w", number, err)
		}
	}
	p.keep(mails)
	return p, mails, nil
}

// known returns the compiled mails of deliveries, and the numbers of those that were not read yet.
func (p *program) known(all []ledger.Due) (mails map[int]*render.Mail, missing []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mails = map[int]*render.Mail{}
	for _, d := range all {
		if _, seen := mails[d.Mail]; seen || d.Mail == 0 {
			continue
		}
		if mails[d.Mail] = p.mails[d.Mail]; mails[d.Mail] == nil {
			missing = append(missing, d.Mail)
		}
	}
	return mails, missing
}

func (p *program) keep(mails map[int]*render.Mail) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mails == nil {
		p.mails = map[int]*render.Mail{}
	}
	maps.Copy(p.mails, mails)
}

// token names an attempt, for the bounces that come back.
func (p *program) token(at ledger.Attempt) string {
	if len(p.keys) == 0 {
		return ""
	}
	return p.keys.Token(bounce.Attempt{Notice: at.NoticeID, Seq: at.Seq, Epoch: at.Epoch})
}

// readerToken admits the reader of a delivery to the choice of their mails.
func (p *program) readerToken(seq int) string {
	if len(p.keys) == 0 || p.Body.Topic() == "" {
		return ""
	}
	return p.keys.ReaderToken(p.ID, seq, p.MessageToken)
}

// message appends the message of a delivery to buf. m is its compiled mail; without one its texts are compiled here. mark
// stands before the subject.
func (p *program) message(buf []byte, m *render.Mail, d ledger.Due, mark string) ([]byte, error) {
	stamp := render.Stamp{
		MessageID: p.MessageID(d.Seq),
		Thread:    d.Thread,
		Reader:    p.readerToken(d.Seq),
		NoticeKey: p.Key,
		Mark:      mark,
		Date:      p.Date(),
		Revision:  p.Revision,
	}
	if m != nil {
		return m.Append(buf, d.Recipient, stamp)
	}
	texts, err := p.texts(d)
	if err != nil {
		return buf, err
	}
	return texts.Render(buf, d.Recipient, d.Text, stamp)
}
