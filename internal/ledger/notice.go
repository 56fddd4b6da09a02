package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Notice is a notice as the ledger keeps it.
type Notice struct {
	ID            int64
	Key           string
	Incident      string // the key of the incident
	State         notice.State
	Reason        string // why it is held or cancelled
	Body          notice.Body
	Texts         map[string]notice.Text // the body's own, or its template's as they were when the body was given
	MessageToken  string
	MessageDomain string
	ReleasedAt    *time.Time
	Began         bool // it was sending once
	SendAt        *time.Time
	ExpiresAt     *time.Time
	HeldUntil     *time.Time         // by a planned hold
	Planned       bool               // it has taken a plan
	Plan          int64              // the number of that
	Canary        int                // how many mailboxes it goes to first
	MaxRecipients int                // where the audience is resolved at sending; 0: the release takes the plan
	FilterRules   notice.FilterRules // by which the filters of the body are read
	Revision      int                // rises with each notice of an incident that begins; 0: it has not begun, or a version of before began it
	Earlier       []notice.Earlier   // of its incident, as the mails of its plan show them
	RowsDroppedAt *time.Time         // when its rows were dropped because they were old
}

// MessageID is the Message-ID, in angle brackets, of the delivery with that seq: the same for every attempt.
func (n Notice) MessageID(seq int) string {
	return "<" + n.MessageToken + "." + strconv.Itoa(seq) + "@" + n.MessageDomain + ">"
}

// Date is that of the notice's mails, in UTC: when it was released, or was to leave if that is later. Both are stored, so that
// each attempt of a delivery sends the same bytes.
func (n Notice) Date() (at time.Time) {
	for _, t := range []*time.Time{n.ReleasedAt, n.SendAt} {
		if t != nil && t.After(at) {
			at = *t
		}
	}
	return at.UTC()
}

// waits reports whether the notice has no plan yet: it is a draft, or its audience is resolved when it leaves.
func (n Notice) waits() bool {
	return n.State == notice.Draft || n.State == notice.Scheduled && !n.Planned
}

// Draft is a notice to be kept, not yet released.
type Draft struct {
	Body      notice.Body // normalised, as it is kept: equal bodies are equal values
	Customers []string    // the list that the audience's digest stands for
	Texts     map[string]notice.Text
	Filter    string // the audience's filter in its parenthesised form; the body's filters are read by the rules of today
	Who       string

	body              []byte // as it is written
	sendAt, expiresAt *time.Time
}

// PutDraft keeps a draft, in the place of the draft of the same key if there is one. After release the body is
// frozen: the same body changes nothing, another one is a conflict. It returns the notice's number, and whether
// the key is new.
func (db *DB) PutDraft(ctx context.Context, d Draft) (id int64, created bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if len(d.Customers) > 0 {
			if err := delayErasures(ctx, tx); err != nil {
				return err
			}
		}
		// Presses of one key come one after the other: notice and incident, locked in either order, would block two for ever.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(1, hashtext(lower($1)))`, d.Body.Key); err != nil {
			return fmt.Errorf("wait for other presses of %q: %w", d.Body.Key, err)
		}
		id, created, err = putDraft(ctx, tx, d)
		return err
	})
	return id, created, err
}

func putDraft(ctx context.Context, tx pgx.Tx, d Draft) (id int64, created bool, err error) {
	if err := d.encode(); err != nil {
		return 0, false, err
	}
	var state notice.State
	var same, sameTexts bool
	err = tx.QueryRow(ctx, `SELECT id, state, body = $2::jsonb, texts = $3 FROM notice WHERE key = $1 FOR NO KEY UPDATE`,
		d.Body.Key, d.body, d.Texts).Scan(&id, &state, &same, &sameTexts)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return insertDraft(ctx, tx, d)
	case err != nil:
		return 0, false, fmt.Errorf("look up notice %q: %w", d.Body.Key, err)
	case state.Released() && !same:
		return id, false, notice.Conflict("notice %q was released with another body; what is released stays as it is: use another key", d.Body.Key)
	case state.Released():
		return id, false, nil
	}
	incident, err := putIncident(ctx, tx, d.Body)
	if err != nil {
		return 0, false, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE notice SET incident_id = $2, body = $3, texts = $4, filter = $5, send_at = $6, expires_at = $7, filter_rules = $8,
			edited_by = CASE WHEN $10 OR $9 = ANY(edited_by) THEN edited_by ELSE edited_by || $9::text END
		WHERE id = $1`,
		id, incident, d.body, d.Texts, d.Filter, d.sendAt, d.expiresAt, notice.FilterPatterns, d.Who, same && sameTexts)
	if err != nil {
		return 0, false, fmt.Errorf("replace draft %q: %w", d.Body.Key, err)
	}
	if !same || !sameTexts {
		if err := dropPlan(ctx, tx, id, 0); err != nil {
			return 0, false, err
		}
		if err := recordAct(ctx, tx, id, d.Who, "replace draft", ""); err != nil {
			return 0, false, err
		}
	}
	return id, false, keepList(ctx, tx, id, d.Customers)
}

// encode writes the body, and reads its times.
func (d *Draft) encode() (err error) {
	if d.body, err = json.Marshal(d.Body); err != nil {
		return fmt.Errorf("encode the body: %w", err)
	}
	d.sendAt, d.expiresAt, err = d.Body.Schedule()
	return err
}

// Released reports whether a body's key has been released, and with an equal body.
func (db *DB) Released(ctx context.Context, b notice.Body) (released, same bool, err error) {
	body, err := json.Marshal(b)
	if err != nil {
		return false, false, fmt.Errorf("encode the body: %w", err)
	}
	err = db.pool.QueryRow(ctx, `SELECT state <> 'draft', body = $2::jsonb FROM notice WHERE key = $1`, b.Key, body).Scan(&released, &same)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, false, nil
	}
	return released, same, wrap(err, "look up notice %q", b.Key)
}

// uniqueKey refuses a new key that is another in other capitals: both would be taken for one, and each would send. Keys
// of before that differ so are left as they are.
func uniqueKey(ctx context.Context, tx pgx.Tx, key string) error {
	var other string
	err := tx.QueryRow(ctx, `SELECT key FROM notice WHERE lower(key) = lower($1) LIMIT 1`, key).Scan(&other)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a key like %q: %w", key, err)
	}
	return notice.Conflict("there is a notice %q, whose key differs from %q by capitals alone: write it like that, or use another key", other, key)
}

func insertDraft(ctx context.Context, tx pgx.Tx, d Draft) (id int64, created bool, err error) {
	if err := uniqueKey(ctx, tx, d.Body.Key); err != nil {
		return 0, false, err
	}
	incident, err := putIncident(ctx, tx, d.Body)
	if err != nil {
		return 0, false, err
	}
	token := make([]byte, 12)
	if _, err := rand.Read(token); err != nil {
		return 0, false, fmt.Errorf("draw a message token: %w", err)
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO notice (key, incident_id, body, texts, filter, message_token, send_at, expires_at, created_by, filter_rules)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`,
		d.Body.Key, incident, d.body, d.Texts, d.Filter, hex.EncodeToString(token), d.sendAt, d.expiresAt, d.Who, notice.FilterPatterns).Scan(&id)
	if err != nil {
		return 0, false, fmt.Errorf("insert draft %q: %w", d.Body.Key, err)
	}
	return id, true, keepList(ctx, tx, id, d.Customers)
}

func putIncident(ctx context.Context, tx pgx.Tx, b notice.Body) (id int64, err error) {
	var kind notice.Kind
	err = tx.QueryRow(ctx, `
		INSERT INTO incident (key, kind) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id, kind`, b.Incident, b.Kind).Scan(&id, &kind)
	if err != nil {
		return 0, fmt.Errorf("keep incident %q: %w", b.Incident, err)
	}
	if kind != b.Kind {
		return 0, notice.Conflict("incident %q is of kind %s; a notice of kind %s can't hang on it", b.Incident, kind, b.Kind)
	}
	return id, nil
}

// Find returns the number of the notice that ref names by key or number.
func (db *DB) Find(ctx context.Context, ref string) (id int64, err error) {
	query, arg := `SELECT id FROM notice WHERE key = $1`, any(ref)
	if n, err := strconv.ParseInt(ref, 10, 64); err == nil {
		query, arg = `SELECT id FROM notice WHERE id = $1`, n
	}
	err = db.pool.QueryRow(ctx, query, arg).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, notice.NotFound("there is no notice %q", ref)
	}
	return id, wrap(err, "look up notice %q", ref)
}

// State returns where a notice stands, by its key or number.
func (db *DB) State(ctx context.Context, ref string) (s notice.State, err error) {
	id, err := db.Find(ctx, ref)
	if err != nil {
		return "", err
	}
	n, err := db.Notice(ctx, id)
	return n.State, err
}

// NoticeBody returns the body of a notice, by its key or number.
func (db *DB) NoticeBody(ctx context.Context, ref string) (b notice.Body, err error) {
	id, err := db.Find(ctx, ref)
	if err != nil {
		return b, err
	}
	n, err := db.Notice(ctx, id)
	return n.Body, err
}

// Notice returns a notice by its number.
func (db *DB) Notice(ctx context.Context, id int64) (Notice, error) {
	return readNotice(ctx, db.pool, id, "")
}

// querier is the pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readNotice(ctx context.Context, q querier, id int64, lock string) (n Notice, err error) {
	err = q.QueryRow(ctx, `
		SELECT n.id, n.key, i.key, n.state, n.reason, n.body, n.texts, n.message_token, n.message_domain, n.released_at, n.send_at, n.expires_at, n.filter_rules, n.rows_dropped_at,
			n.began_at IS NOT NULL, n.held_until, n.plan_id IS NOT NULL, coalesce(n.plan_id, 0), coalesce(n.max_recipients, 0), n.canary, coalesce(n.revision, 0),
			coalesce((SELECT earlier FROM plan WHERE plan.id = n.plan_id), '[]')
		FROM notice n JOIN incident i ON i.id = n.incident_id WHERE n.id = $1 `+lock, id).
		Scan(&n.ID, &n.Key, &n.Incident, &n.State, &n.Reason, &n.Body, &n.Texts, &n.MessageToken, &n.MessageDomain, &n.ReleasedAt, &n.SendAt, &n.ExpiresAt, &n.FilterRules, &n.RowsDroppedAt, &n.Began, &n.HeldUntil, &n.Planned, &n.Plan, &n.MaxRecipients, &n.Canary, &n.Revision, &n.Earlier)
	if errors.Is(err, pgx.ErrNoRows) {
		return n, notice.NotFound("there is no notice %d", id)
	}
	return n, wrap(err, "read notice %d", id)
}
