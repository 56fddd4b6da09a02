package ledger

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// audienceSQL finds the customers of an audience, with the mailbox at which each is told. They come by mailbox and id,
// and those first who are not to be mailed: without a usable mailbox (their place holds a tab, which no address can), then
// those on the list of suppressions. The list is asked for the mailbox that was found: an alternate that stands on it is not
// used either. It has seven holes: the mailboxes that are down, the conditions of turning, that of the choice, that of
// the list, and the mark of newcomers.
const audienceSQL = `
	WITH down AS MATERIALIZED (
		%s
	), audience AS (
		SELECT c.*, %s AS broken, %s AS has_alternate, %s AS prefers FROM customer c WHERE %s OFFSET 0
	), placed AS (
		SELECT id, name, language, time_zone, attributes, email_fault,
			CASE WHEN turned THEN '' WHEN email_key = '' THEN '` + notice.ReasonNoAddress + `' WHEN broken THEN '` + notice.ReasonUnreachable + `' ELSE '' END AS reason,
			CASE WHEN turned THEN 'alternate' ELSE 'primary' END AS role,
			CASE WHEN turned THEN alternate_email ELSE email END AS address,
			CASE WHEN turned THEN alternate_email_key WHEN email_key = '' OR broken THEN E'\t' || id ELSE email_key END AS mailbox
		FROM audience, LATERAL (SELECT has_alternate AND (broken OR prefers) AS turned) t OFFSET 0
	), asked AS (
		SELECT p.*, reason = '' AND %s AS listed FROM placed p OFFSET 0
	), ordered AS (
		SELECT *, CASE WHEN listed THEN E'\n' || mailbox ELSE mailbox END AS place FROM asked ORDER BY place, id OFFSET 0
	)
	SELECT place, mailbox, CASE WHEN listed THEN '` + notice.ReasonSuppressionList + `' ELSE reason END, role, address, id, language, time_zone, email_fault,
		jsonb_build_object('id', id, 'name', name, 'attributes', attributes)::text, %s
	FROM ordered`

// Broken says which mailboxes are down: their customers are reached at their alternates.
type Broken struct {
	Domains []string      // A-labels, lower-cased
	Filter  notice.Filter // the primary mailboxes of the customers that it holds for, shared ones too; zero: of nobody
}

// turning is the part of audienceSQL that says who is told at the alternate.
type turning struct {
	down      string // a query of the mailboxes that are down one by one
	broken    string // the condition that the primary mailbox of a "customer c" is down, which may ask "down"
	alternate string // that there is an alternate which is not
	prefers   string // that the alternate goes first, though the primary may be up
}

// turningSQL joins the mailboxes that are down with those at which an earlier notice stood, where its customers are to be
// told at their alternates; plan is that of the earlier notice.
func (a Audience) turningSQL(plan int64, args *[]any) (t turning, err error) {
	t = turning{down: "SELECT NULL::text AS email_key WHERE false", broken: "false", alternate: "c.alternate_email_key <> ''", prefers: "false"}
	if len(a.Broken.Domains) > 0 {
		list := bind(args, a.Broken.Domains)
		t.broken = "split_part(c.email_key, '@', -1) = ANY(" + list + ")"
		t.alternate += " AND split_part(c.alternate_email_key, '@', -1) <> ALL(" + list + ")"
	}
	var one bool
	if a.Broken.Filter.Op != notice.FilterAll {
		down, err := filterSQL(a.Broken.Filter, args)
		if err != nil {
			return t, err
		}
		t.down, one = "SELECT email_key FROM customer c WHERE email_key <> '' AND "+down, true
	}
	if a.Body.Audience.Contact == notice.Alternate {
		n := bind(args, a.Choice.Notice)
		t.down += inPlan(plan, " UNION SELECT r.address_key FROM recipient r WHERE r.plan_id = {plan}"+
			" AND r.address_key IS NOT NULL AND "+stoodSQL(n, bind(args, a.Choice.States)))
		t.prefers, one = "true", true
	}
	if one {
		t.broken = "(" + t.broken + " OR c.email_key IN (SELECT email_key FROM down))"
		t.alternate += " AND c.alternate_email_key NOT IN (SELECT email_key FROM down)"
	}
	return t, nil
}

// audienceRows finds an audience. tx reads nothing else while the rows are open.
func audienceRows(ctx context.Context, tx pgx.Tx, a Audience) (pgx.Rows, error) {
	// An audience is read through, and sorted.
	if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = on; SET LOCAL work_mem = '32MB'`); err != nil {
		return nil, fmt.Errorf("allow reading through: %w", err)
	}
	if err := layOutStood(ctx, tx, a.Choice); err != nil {
		return nil, err
	}
	newcomer, err := layOutTold(ctx, tx, a.Body)
	if err != nil {
		return nil, err
	}
	var args []any
	plan, err := planOf(ctx, tx, a.Choice.Notice)
	if err != nil {
		return nil, err
	}
	t, err := a.turningSQL(plan, &args)
	if err != nil {
		return nil, err
	}
	where, err := a.Choice.sql(&args)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(audienceSQL, t.down, t.broken, t.alternate, t.prefers, where, suppressedSQL("mailbox", a.Body.Scopes()), newcomer), args...)
	return rows, wrap(err, "find the audience")
}

// placed is a customer of an audience, with the mailbox at which they are told.
type placed struct {
	place, mailbox, reason, role, address, id, language, zone, fault string
	frozen                                                           []byte // the customer as JSON, until the next row is read
	newcomer, owedOld                                                bool
}

// placed reads the columns of audienceSQL, which are all text.
func (known interned) placed(v [][]byte) placed {
	mailbox := string(v[1])
	shared := func(b []byte) string {
		if string(b) == mailbox {
			return mailbox
		}
		return string(b)
	}
	return placed{mailbox: mailbox, place: shared(v[0]), address: shared(v[4]), id: string(v[5]),
		reason: known.text(v[2]), role: known.text(v[3]), language: known.text(v[6]), zone: known.text(v[7]), fault: known.text(v[8]), frozen: v[9],
		newcomer: string(v[10]) == markNew, owedOld: string(v[10]) == markOwed}
}

// recipient is a row of a plan.
type recipient struct {
	notice.Recipient
	seq                         int
	mailbox, role, reason, text string
	frozen                      []byte // the customers as JSON
	mail, correction            int    // the numbers of its compiled mails; 0: none is kept. Where the old windows are owed the second is that for newcomers
	owedOld                     bool   // nothing of the old windows went to it, and something is still owed
}

// append adds the fields of a row that do not follow from the others to the input of a digest.
func (r *recipient) append(b []byte) []byte {
	for _, field := range [...]string{r.Address, r.role, r.reason, r.text, r.Language, r.TimeZone} {
		b = append(binary.AppendUvarint(b, uint64(len(field))), field...)
	}
	b = append(binary.AppendUvarint(b, uint64(len(r.frozen))), r.frozen...)
	if r.Newcomer {
		b = append(b, "newcomer"...)
	}
	if r.owedOld {
		b = append(b, "owed"...)
	}
	return b
}

// sharing gathers the customers of one mailbox.
type sharing struct {
	first            placed
	frozen           []byte // a JSON list
	languages, zones []string
	told             bool // one of them got, or may have got, the old windows
	owed             bool // one of them is owed these
}

func (s *sharing) empty() bool { return len(s.languages) == 0 }

func (s *sharing) add(c placed) {
	separator := ", "
	if s.empty() {
		s.first, s.frozen, s.told, s.owed, separator = c, s.frozen[:0], false, false, "["
	}
	s.told, s.owed = s.told || !c.newcomer && !c.owedOld, s.owed || c.owedOld
	s.frozen = append(append(s.frozen, separator...), c.frozen...)
	s.languages, s.zones = append(s.languages, c.language), append(s.zones, c.zone)
}

// recipient returns the row of the mailbox. Its JSON is valid until the next one begins. Language and zone are those that most of
// the sharers have, ties going to the first by external id; address and role are the first one's.
func (s *sharing) recipient(known interned) (r recipient, err error) {
	r.mailbox, r.role, r.reason, r.Address = s.first.mailbox, s.first.role, s.first.reason, s.first.address
	r.Language, r.TimeZone = elected(s.languages), elected(s.zones)
	r.Newcomer, r.owedOld = !s.told && !s.owed, !s.told && s.owed
	s.frozen = append(s.frozen, ']')
	r.frozen = s.frozen
	r.Customers, err = known.frozen(r.frozen)
	s.languages, s.zones = s.languages[:0], s.zones[:0]
	return r, err
}

// elected returns which of the values that are not empty occurs most often, of several the first; "" where all are empty.
func elected(values []string) (best string) {
	if len(values) == 1 {
		return values[0]
	}
	votes, most := map[string]int{}, 0
	for _, v := range values {
		votes[v]++
	}
	for _, v := range values {
		if v != "" && votes[v] > most {
			best, most = v, votes[v]
		}
	}
	return best
}
