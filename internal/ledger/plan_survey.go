package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"tocsin/internal/notice"
)

// refusedShown is how many addresses that were taken once and are refused today a plan names.
const refusedShown = 20

// surveyBatch is how many recipients are made and kept at a time: memory stays the same, however many there are.
const surveyBatch = 4000

// survey reads an audience by mailbox and makes its recipients: one a mailbox, complete with all customers who share
// it, and one for each customer without a usable mailbox. Those who are not to be mailed come first.
type survey struct {
	audience Audience
	amended  amended                // the notice that gives its rows; zero: none
	texts    map[string]notice.Text // the draft's, a part of the digest
	rows     keeper
	pins     Pins // nil: none are wanted

	plan  notice.Plan
	lots  *lots
	sum   hash.Hash
	row   []byte // the last one that was added to it
	known interned
	wants map[string]match
	// others are the mails to domains that are not counted one by one.
	others int
}

// domainsCounted is how many recipient domains are counted one by one: the memory stays bounded. The large ones come early among mailboxes in the
// order of their local parts.
const domainsCounted = 50_000

// match is the text for a language that is wanted.
type match struct {
	text  string
	exact bool
	later bool // it is the text of a later language than the first
}

// run reads the audience with read, while the rows are kept.
func (s *survey) run(ctx context.Context, read pgx.Tx) (notice.Plan, error) {
	s.plan = notice.Plan{ByLanguage: map[string]int{}, ByZone: map[string]int{}, Domains: map[string]int{}, Suppressed: map[string]int{}, Fallback: map[string]int{},
		Filter: s.audience.FilterText, Holes: []notice.Hole{}, Refused: []notice.CustomerFault{}}
	s.sum, s.wants, s.known = sha256.New(), map[string]match{}, interned{}
	if err := json.NewEncoder(s.sum).Encode([]any{s.audience.Body, s.texts}); err != nil {
		return s.plan, fmt.Errorf("encode the notice: %w", err)
	}
	s.lots = newLots(s.sum.Sum(nil))
	batches := make(chan func(context.Context) error, 1)
	g, reading := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		if s.audience.Amends != 0 {
			return s.readAmended(reading, read, batches)
		}
		return s.read(reading, read, batches)
	})
	g.Go(func() error {
		for write := range batches {
			if err := write(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	err := g.Wait()
	s.plan.ByDomain = notice.LargestDomains(s.plan.Domains, s.others)
	return s.plan, err
}

// digest is that of the draft's body and texts, of all rows, and of the order of the canaries. It covers the compiled mails with these
// digests, too: the templates may have changed since the plan was shown.
func (s *survey) digest(mails [][]byte, canaries []int32) []byte {
	for _, m := range mails {
		s.sum.Write(m)
	}
	_ = binary.Write(s.sum, binary.BigEndian, canaries) // a hash takes everything
	return s.sum.Sum(nil)
}

// read goes through the customers of the audience, which come by mailbox.
func (s *survey) read(ctx context.Context, tx pgx.Tx, batches chan<- func(context.Context) error) error {
	rows, err := audienceRows(ctx, tx, s.audience)
	if err != nil {
		return err
	}
	defer rows.Close()
	var sharing sharing
	for rows.Next() {
		c := s.known.placed(rows.RawValues())
		if !sharing.empty() && c.place != sharing.first.place {
			if err := s.take(ctx, &sharing, batches); err != nil {
				return err
			}
		}
		sharing.add(c)
		if c.reason == notice.ReasonNoAddress && c.fault != "" && len(s.plan.Refused) < refusedShown {
			s.plan.Refused = append(s.plan.Refused, notice.CustomerFault{Subject: c.id, Field: "email", Reason: c.fault})
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the audience: %w", err)
	}
	if !sharing.empty() {
		if err := s.take(ctx, &sharing, batches); err != nil {
			return err
		}
	}
	return s.pass(ctx, batches)
}

// take adds the recipient of the customers who share a mailbox.
func (s *survey) take(ctx context.Context, sharing *sharing, batches chan<- func(context.Context) error) error {
	r, err := sharing.recipient(s.known)
	if err != nil {
		return err
	}
	return s.add(ctx, &r, r.reason, batches)
}

// add counts a recipient, which is not mailed for a reason unless that is "", and adds it to the rows to be kept.
func (s *survey) add(ctx context.Context, r *recipient, reason string, batches chan<- func(context.Context) error) error {
	want, known := s.wants[r.Language]
	if !known {
		want.text, want.exact = s.audience.Match(r.Language)
		if all := notice.Languages(r.Language); want.exact && len(all) > 1 {
			_, first := s.audience.Match(all[0])
			want.later = !first
		}
		s.wants[r.Language] = want
	}
	r.seq, r.text = s.plan.Recipients, want.text
	s.row = r.append(s.row[:0])
	s.sum.Write(s.row)
	s.plan.Recipients++
	if r.role != roleAdded {
		s.plan.Customers += len(r.Customers)
	}
	if reason != "" {
		s.plan.Suppressed[reason]++
		if s.audience.Suppressed != nil {
			s.audience.Suppressed(r.Recipient, reason)
		}
	} else {
		s.plan.ByLanguage[want.text]++
		s.plan.ByZone[r.TimeZone]++
		s.domain(r.mailbox)
		s.lots.add(want.text, int32(r.seq))
		if r.Newcomer {
			s.plan.Newcomers++
		}
		if r.owedOld {
			s.plan.OwedOld++
		}
		if !want.exact {
			s.plan.Fallback[r.Language]++
		}
		if want.later {
			if s.plan.LaterChoice == nil {
				s.plan.LaterChoice = map[string]int{}
			}
			s.plan.LaterChoice[r.Language]++
		}
		if r.role == string(notice.Alternate) {
			s.plan.Alternates++
		}
		if err := s.audience.Each(r.Recipient, want.text); err != nil {
			return err
		}
		if s.audience.Also != nil && r.owedOld {
			if err := s.audience.Also(asNewcomer(r.Recipient), want.text); err != nil {
				return err
			}
		}
	}
	if s.pins != nil && (r.reason == "" || r.reason == notice.ReasonSuppressionList) {
		r.mail, r.correction = s.pins.Number(r.Recipient, r.text), s.pins.Correction(r.Recipient, r.text)
		if r.owedOld && s.amended.id == 0 {
			r.correction = s.pins.Number(asNewcomer(r.Recipient), r.text)
		}
	}
	if s.rows.add(r); s.plan.Recipients%surveyBatch != 0 {
		return nil
	}
	return s.pass(ctx, batches)
}

// domain counts a mail by the domain of its mailbox.
func (s *survey) domain(mailbox string) {
	domain := mailbox[strings.LastIndexByte(mailbox, '@')+1:]
	n, known := s.plan.Domains[domain]
	switch {
	case known:
		s.plan.Domains[domain] = n + 1
	case len(s.plan.Domains) < domainsCounted:
		s.plan.Domains[strings.Clone(domain)] = 1 // else the map would keep the whole mailbox
	default:
		s.others++
	}
}

// pass hands on the added recipients to be kept.
func (s *survey) pass(ctx context.Context, batches chan<- func(context.Context) error) error {
	if s.audience.Progress != nil {
		s.audience.Progress(s.plan.Customers)
	}
	select {
	case batches <- s.rows.batch():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
