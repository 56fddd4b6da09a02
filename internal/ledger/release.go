package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Audience says who is to be told, and how what is found is judged.
type Audience struct {
	Body            notice.Body // that of the draft which was looked at
	Choice          Choice
	FilterText      string // its filter in its parenthesised form
	Broken          Broken // the mailboxes that are down
	DefaultLanguage string
	// Match returns the language of the text for a customer who wants that one, and whether it is theirs.
	Match func(want string) (text string, exact bool)
	// Each is called for every recipient to be mailed, in the order of seq, and Judge after the last of them,
	// before anything is kept; their error ends the release.
	Each  func(r notice.Recipient, text string) error
	Judge func() error
}

// Broken says which mailboxes are down: their customers are reached at their alternates.
type Broken struct {
	Domains []string      // A-labels, lower-cased
	Filter  notice.Filter // the primary mailboxes of the customers for whom it holds, whoever shares them; zero: of nobody
}

// sql is the condition that the mailbox of a "customer c" is down by the filter.
func (b Broken) sql(args *[]any) (string, error) {
	if b.Filter.Op == notice.FilterAll {
		return "false", nil
	}
	return filterSQL(b.Filter, args)
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

// Plan does all that a release does, but keeps nothing.
func (db *DB) Plan(ctx context.Context, a Audience) (p notice.Plan, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if p, err = plan(ctx, tx, a); err != nil {
			return err
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return p, err
}

// Release freezes the audience of a draft in one snapshot and lets the notice go; domain is what its Message-IDs
// end in. A notice that was released before is left as it is, and released is false.
func (db *DB) Release(ctx context.Context, id int64, a Audience, domain, who string) (released bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		// The fence is locked before any notice, so that one that is raised meanwhile holds this release.
		if _, err := tx.Exec(ctx, `SELECT 1 FROM fence FOR SHARE`); err != nil {
			return fmt.Errorf("lock the fence: %w", err)
		}
		n, err := readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n")
		if err != nil || n.State.Released() {
			return err
		}
		if !reflect.DeepEqual(n.Body, a.Body) {
			return notice.Conflict("notice %q was replaced while it was being released: look at it again", n.Key)
		}
		if err := notLate(ctx, tx, n); err != nil {
			return err
		}
		plan, err := freeze(ctx, tx, n, a)
		if err != nil {
			return err
		}
		released = true
		return db.take(ctx, tx, n, plan, domain, who)
	})
	if err != nil {
		return false, err
	}
	return released, nil
}

func notLate(ctx context.Context, tx pgx.Tx, n Notice) error {
	var late bool
	if err := tx.QueryRow(ctx, `SELECT coalesce($1 <= clock_timestamp(), false)`, n.ExpiresAt).Scan(&late); err != nil {
		return fmt.Errorf("compare expires_at with the clock: %w", err)
	}
	if late {
		return notice.Invalid("expires_at", "has gone by: nothing would be sent")
	}
	return nil
}

// take releases a notice to the audience that a plan has frozen: chunks over all of its recipients. Of what the plan
// suppresses, and of who was erased since, the outcome is known. A plan that was replaced or dropped can't be taken.
func (db *DB) take(ctx context.Context, tx pgx.Tx, n Notice, plan int64, domain, who string) error {
	var recipients int
	var fits bool
	err := tx.QueryRow(ctx, `
		SELECT p.recipients, p.state = 'frozen' AND p.body = (SELECT body FROM notice WHERE id = $2)
		FROM plan p WHERE p.id = $1 AND p.notice_id = $2 FOR UPDATE`, plan, n.ID).Scan(&recipients, &fits)
	if err != nil {
		return fmt.Errorf("lock plan %d: %w", plan, err)
	}
	if !fits {
		return notice.Conflict("the plan of notice %q was replaced: look at it again", n.Key)
	}
	if err := keepList(ctx, tx, n.ID, nil); err != nil {
		return err
	}
	if err := layChunks(ctx, tx, n, plan, recipients); err != nil {
		return err
	}
	// A notice that is younger than the backup is unknown to a restored ledger: its key may have gone out before.
	tag, err := tx.Exec(ctx, `
		UPDATE notice SET state = CASE WHEN f.up THEN 'held' WHEN send_at > clock_timestamp() THEN 'scheduled' ELSE 'sending' END,
			reason = CASE WHEN f.up THEN 'restored' ELSE '' END,
			released_at = clock_timestamp(), released_by = $2, message_domain = $3, plan_id = p.id,
			customers = p.customers, recipients = p.recipients, by_language = p.by_language, suppressed = p.suppressed
		FROM fence f, plan p WHERE notice.id = $1 AND p.id = $4`,
		n.ID, who, domain, plan)
	if err != nil {
		return fmt.Errorf("release notice %d: %w", n.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("release notice %d: the ledger has no fence: run `tocsin migrate`", n.ID)
	}
	if _, err := tx.Exec(ctx, `UPDATE plan SET state = 'taken' WHERE id = $1`, plan); err != nil {
		return fmt.Errorf("take plan %d: %w", plan, err)
	}
	// In a planned hold it is held from the start, not only once the next sweep has come by.
	_, err = tx.Exec(ctx, `
		UPDATE notice SET state = 'held', reason = h.reason, held_until = h.until_at
		FROM (`+holdNow+` ORDER BY until_at DESC LIMIT 1) h WHERE id = $2 AND state = 'sending'`, db.opts.DotGrace, n.ID)
	if err != nil {
		return fmt.Errorf("hold notice %d: %w", n.ID, err)
	}
	if err := db.begin(ctx, tx, n.ID); err != nil {
		return err
	}
	return recordAct(ctx, tx, n.ID, who, "release", fmt.Sprintf("%d recipients", recipients))
}

// ChunkSize is how many deliveries a chunk covers: one queue task, one lease.
const ChunkSize = 256

func layChunks(ctx context.Context, tx pgx.Tx, n Notice, plan int64, recipients int) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO chunk (notice_id, plan_id, lo, hi, open, due_at, dots, sent, stopped, counts)
		SELECT $1, $2, lo, hi, true, greatest($5, clock_timestamp()), z, z, z, ARRAY[hi - lo, 0, 0, 0, 0, 0, 0, 0, 0]
		FROM generate_series(0, $3 - 1, $4) lo CROSS JOIN LATERAL (SELECT least(lo + $4, $3) AS hi) h
		CROSS JOIN LATERAL (SELECT repeat('0', hi - lo)::varbit AS z) z ORDER BY lo`, n.ID, plan, recipients, ChunkSize, n.SendAt)
	if err != nil {
		return fmt.Errorf("make the chunks of notice %d: %w", n.ID, err)
	}
	_, err = tx.Exec(ctx, named(`
		INSERT INTO outcome (notice_id, seq, state, reason)
		SELECT $1, seq, CASE WHEN reason <> '' THEN {suppressed} ELSE {cancelled} END, CASE WHEN reason <> '' THEN reason ELSE 'erased' END
		FROM recipient WHERE plan_id = $2 AND (reason <> '' OR address_key LIKE 'erased:%') ORDER BY seq`), n.ID, plan)
	if err != nil {
		return fmt.Errorf("settle what is not to be mailed of notice %d: %w", n.ID, err)
	}
	settled, err := collect[int64](ctx, tx, `
		SELECT id FROM chunk c WHERE notice_id = $1 AND EXISTS (SELECT FROM outcome WHERE notice_id = $1 AND seq >= c.lo AND seq < c.hi OFFSET 0)`, n.ID)
	if err != nil {
		return fmt.Errorf("look for what is not to be mailed of notice %d: %w", n.ID, err)
	}
	return recount(ctx, tx, settled)
}

// plan finds the audience in one snapshot and lays it out by mailbox in the temporary table "planned".
func plan(ctx context.Context, tx pgx.Tx, a Audience) (p notice.Plan, err error) {
	if err := layOut(ctx, tx, a); err != nil {
		return p, err
	}
	p = notice.Plan{ByLanguage: map[string]int{}, Suppressed: map[string]int{}, Fallback: map[string]int{}, Filter: a.FilterText, Holes: []notice.Hole{}}
	if err := count(ctx, tx, a, &p); err != nil {
		return p, err
	}
	if p.Excluded, err = a.Choice.excluded(ctx, tx); err != nil {
		return p, err
	}
	if err := compare(ctx, tx, a.Body, &p); err != nil {
		return p, err
	}
	if p.Refused, err = refusedAddresses(ctx, tx); err != nil {
		return p, err
	}
	_, err = inspect(ctx, tx, a)
	return p, err
}

// refusedAddresses names the first of the planned customers whose address was taken once and is refused today.
func refusedAddresses(ctx context.Context, tx pgx.Tx) ([]notice.CustomerFault, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.id, 'email', c.email_fault FROM customer c
		WHERE c.email_fault <> '' AND EXISTS (SELECT FROM planned p WHERE p.mailbox = E'\t' || c.id AND p.reason = 'no_address')
		ORDER BY c.id LIMIT 20`)
	if err != nil {
		return nil, fmt.Errorf("look for addresses that are refused: %w", err)
	}
	all, err := pgx.AppendRows([]notice.CustomerFault{}, rows, pgx.RowToStructByPos[notice.CustomerFault])
	if err != nil {
		return nil, fmt.Errorf("look for addresses that are refused: %w", err)
	}
	return all, nil
}

// freeze keeps the audience of a draft as a plan, in the place of an earlier one, and returns its number.
func freeze(ctx context.Context, tx pgx.Tx, n Notice, a Audience) (id int64, err error) {
	if err := layOut(ctx, tx, a); err != nil {
		return 0, err
	}
	p := notice.Plan{ByLanguage: map[string]int{}, Suppressed: map[string]int{}, Fallback: map[string]int{}}
	if err := count(ctx, tx, a, &p); err != nil {
		return 0, err
	}
	if p.Customers == 0 {
		return 0, notice.Invalid("audience", "nobody matches it: no customer would be told")
	}
	digest, err := inspect(ctx, tx, a)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `UPDATE plan SET state = 'dropped' WHERE notice_id = $1 AND state = 'frozen'`, n.ID); err != nil {
		return 0, fmt.Errorf("drop the earlier plan of notice %d: %w", n.ID, err)
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO plan (notice_id, state, body, digest, customers, recipients, by_language, suppressed)
		SELECT id, 'frozen', body, $2, $3, $4, $5, $6 FROM notice WHERE id = $1 RETURNING id`,
		n.ID, digest, p.Customers, p.Recipients, p.ByLanguage, p.Suppressed).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("make the plan of notice %d: %w", n.ID, err)
	}
	if err := keepRecipients(ctx, tx, id, a); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
		return 0, fmt.Errorf("forbid reading through: %w", err)
	}
	return id, nil
}

// inspect shows every planned recipient to be mailed to the audience's Each, and has them judged. It returns a digest
// of the body and of all rows.
func inspect(ctx context.Context, tx pgx.Tx, a Audience) ([]byte, error) {
	digest := sha256.New()
	if err := json.NewEncoder(digest).Encode(a.Body); err != nil {
		return nil, fmt.Errorf("encode the body: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT address, role, reason, language, time_zone, customers FROM planned ORDER BY seq`)
	if err != nil {
		return nil, fmt.Errorf("read the planned recipients: %w", err)
	}
	defer rows.Close()
	texts := map[string]string{}
	for rows.Next() {
		var r notice.Recipient
		var role, reason string
		var customers []byte
		if err := rows.Scan(&r.Address, &role, &reason, &r.Language, &r.TimeZone, &customers); err != nil {
			return nil, fmt.Errorf("read a planned recipient: %w", err)
		}
		fmt.Fprintf(digest, "%q %q %q %q %q %s\n", r.Address, role, reason, r.Language, r.TimeZone, customers)
		if reason != "" {
			continue
		}
		if r.Customers, err = frozen(customers); err != nil {
			return nil, err
		}
		text, ok := texts[r.Language]
		if !ok {
			text, _ = a.Match(r.Language)
			texts[r.Language] = text
		}
		if err := a.Each(r, text); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the planned recipients: %w", err)
	}
	return digest.Sum(nil), a.Judge()
}

// layOut fills "planned": one row a mailbox, complete with all customers who share it, and one for each customer
// without a usable mailbox (their mailbox holds a tab, which no address can). Language and zone are those that
// most of the sharers have, ties going to the first by external id; address and role are the first one's. The list of
// suppressions is asked for the mailbox that was found: an alternate that stands on it is not used either.
func layOut(ctx context.Context, tx pgx.Tx, a Audience) error {
	// An audience is read through.
	if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = on`); err != nil {
		return fmt.Errorf("allow reading through: %w", err)
	}
	// An erasure waits for releases under way: what it erases must not be frozen afterwards.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, erasureLock); err != nil {
		return fmt.Errorf("keep erasures waiting: %w", err)
	}
	if err := layOutStood(ctx, tx, a.Choice); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE planned (
			seq integer, mailbox text COLLATE "C", address text, role text, reason text,
			language text COLLATE "C", time_zone text COLLATE "C", customers jsonb
		) ON COMMIT DROP`)
	if err != nil {
		return fmt.Errorf("make the table of planned recipients: %w", err)
	}
	args := []any{slices.Concat([]string{}, a.Broken.Domains)}
	down, err := a.Broken.sql(&args)
	if err != nil {
		return err
	}
	where, err := a.Choice.sql(&args)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		WITH down AS MATERIALIZED (
			SELECT email_key FROM customer c WHERE email_key <> '' AND `+down+`
		), audience AS (
			SELECT c.*, substring(c.email_key from '[^@]*$') = ANY($1) OR c.email_key IN (SELECT email_key FROM down) AS broken,
				c.alternate_email_key <> '' AND substring(c.alternate_email_key from '[^@]*$') <> ALL($1)
					AND c.alternate_email_key NOT IN (SELECT email_key FROM down) AS has_alternate
			FROM customer c WHERE `+where+`
		), placed AS (
			SELECT id, name, language, time_zone, attributes,
				CASE WHEN email_key = '' THEN 'no_address' WHEN broken AND NOT has_alternate THEN 'unreachable' ELSE '' END AS reason,
				CASE WHEN broken AND has_alternate THEN 'alternate' ELSE 'primary' END AS role,
				CASE WHEN broken AND has_alternate THEN alternate_email ELSE email END AS address,
				CASE WHEN email_key = '' OR broken AND NOT has_alternate THEN E'\t' || id
					WHEN broken THEN alternate_email_key ELSE email_key END AS mailbox
			FROM audience
		), voted AS (
			SELECT *, count(*) OVER (PARTITION BY mailbox, language) AS language_votes,
				count(*) OVER (PARTITION BY mailbox, time_zone) AS zone_votes
			FROM placed
		)
		INSERT INTO planned
		SELECT row_number() OVER (ORDER BY mailbox) - 1, mailbox,
			(array_agg(address ORDER BY id))[1], (array_agg(role ORDER BY id))[1],
			CASE WHEN min(reason) <> '' THEN min(reason) WHEN `+suppressedSQL("mailbox")+` THEN 'suppression_list' ELSE '' END,
			(array_agg(language ORDER BY language <> '' DESC, language_votes DESC, id))[1],
			(array_agg(time_zone ORDER BY time_zone <> '' DESC, zone_votes DESC, id))[1],
			jsonb_agg(jsonb_build_object('id', id, 'name', name, 'attributes', attributes) ORDER BY id)
		FROM voted GROUP BY mailbox`, args...)
	if err != nil {
		return fmt.Errorf("find the audience: %w", err)
	}
	return nil
}

func count(ctx context.Context, tx pgx.Tx, a Audience, p *notice.Plan) error {
	rows, err := tx.Query(ctx, `
		SELECT reason, CASE WHEN reason = '' THEN language ELSE '' END, count(*), sum(jsonb_array_length(customers)),
			count(*) FILTER (WHERE reason = '' AND role = 'alternate')
		FROM planned GROUP BY 1, 2`)
	if err != nil {
		return fmt.Errorf("count the planned recipients: %w", err)
	}
	var reason, language string
	var recipients, customers, alternates int
	_, err = pgx.ForEachRow(rows, []any{&reason, &language, &recipients, &customers, &alternates}, func() error {
		p.Recipients += recipients
		p.Customers += customers
		p.Alternates += alternates
		if reason != "" {
			p.Suppressed[reason] += recipients
			return nil
		}
		text, exact := a.Match(language)
		p.ByLanguage[text] += recipients
		if !exact {
			p.Fallback[language] += recipients
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the planned recipients: %w", err)
	}
	return nil
}

// keepRecipients freezes the planned recipients, and where each customer stands.
func keepRecipients(ctx context.Context, tx pgx.Tx, plan int64, a Audience) error {
	wants, texts, err := matches(ctx, tx, a)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO recipient (plan_id, seq, address_key, address, role, reason, text, language, time_zone, customers)
		SELECT $1, p.seq, CASE WHEN p.reason IN ('', 'suppression_list') THEN p.mailbox END, p.address, p.role, p.reason,
			coalesce(m.text, $2), p.language, p.time_zone, p.customers
		FROM planned p LEFT JOIN unnest($3::text[], $4::text[]) AS m(want, text) ON m.want = p.language
		ORDER BY p.seq`,
		plan, a.DefaultLanguage, wants, texts)
	if err != nil {
		return fmt.Errorf("freeze the recipients of plan %d: %w", plan, err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO member (customer_id, plan_id, seq) SELECT c->>'id', $1, p.seq FROM planned p, jsonb_array_elements(p.customers) c`, plan)
	if err != nil {
		return fmt.Errorf("freeze the customers of plan %d: %w", plan, err)
	}
	return nil
}

func matches(ctx context.Context, tx pgx.Tx, a Audience) (wants, texts []string, err error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT language FROM planned`)
	if err != nil {
		return nil, nil, fmt.Errorf("list the planned languages: %w", err)
	}
	if wants, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, fmt.Errorf("list the planned languages: %w", err)
	}
	for _, w := range wants {
		text, _ := a.Match(w)
		texts = append(texts, text)
	}
	return wants, texts, nil
}
