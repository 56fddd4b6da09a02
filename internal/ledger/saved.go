package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

const savedColumns = `s.id, s.version, s.created_by, s.changed_by, s.created_at, s.changed_at`

// mostSaved bounds the list of saved drafts.
const mostSaved = 200

// SavedDrafts returns the drafts that people write in the console, the last changed first, each with its notice.yaml alone.
func (db *DB) SavedDrafts(ctx context.Context) ([]notice.SavedDraft, error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT `+savedColumns+`, coalesce(f.content, '') FROM saved_draft s LEFT JOIN saved_file f ON f.draft_id = s.id AND f.name = 'notice.yaml'
		ORDER BY s.changed_at DESC, s.id DESC LIMIT $1`, mostSaved)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s notice.SavedDraft, err error) {
		var manifest []byte
		err = row.Scan(&s.Number, &s.Version, &s.CreatedBy, &s.ChangedBy, &s.CreatedAt, &s.ChangedAt, &manifest)
		s.Files = map[string][]byte{"notice.yaml": manifest}
		return s, err
	})
	return all, wrap(err, "list the saved drafts")
}

// SavedDraft returns a draft with its files; class not_found where there is none.
func (db *DB) SavedDraft(ctx context.Context, id int64) (s notice.SavedDraft, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		s, err = readSaved(ctx, tx, id, "FOR SHARE")
		return err
	})
	return s, err
}

func readSaved(ctx context.Context, tx pgx.Tx, id int64, lock string) (s notice.SavedDraft, err error) {
	err = tx.QueryRow(ctx, `SELECT `+savedColumns+` FROM saved_draft s WHERE id = $1 `+lock, id).
		Scan(&s.Number, &s.Version, &s.CreatedBy, &s.ChangedBy, &s.CreatedAt, &s.ChangedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, notice.NotFound("there is no such draft: somebody deleted it, or it was not changed for too long")
	}
	if err != nil {
		return s, fmt.Errorf("read saved draft %d: %w", id, err)
	}
	s.Files, err = savedFiles(ctx, tx, id)
	return s, err
}

func savedFiles(ctx context.Context, tx pgx.Tx, id int64) (map[string][]byte, error) {
	files := map[string][]byte{}
	var name string
	var content []byte
	rows, _ := tx.Query(ctx, `SELECT name, content FROM saved_file WHERE draft_id = $1`, id)
	_, err := pgx.ForEachRow(rows, []any{&name, &content}, func() error {
		files[name] = bytes.Clone(content)
		return nil
	})
	return files, wrap(err, "read the files of saved draft %d", id)
}

// AddSavedDraft keeps a new draft, and returns its number.
func (db *DB) AddSavedDraft(ctx context.Context, files map[string][]byte, who string) (id int64, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if err := delayErasures(ctx, tx); err != nil {
			return err
		}
		name, _ := notice.SplitActor(who)
		if err := tx.QueryRow(ctx, `INSERT INTO saved_draft (created_by, changed_by) VALUES ($1, $1) RETURNING id`, name).Scan(&id); err != nil {
			return fmt.Errorf("keep a draft: %w", err)
		}
		if err := keepFiles(ctx, tx, id, files); err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "begin saved draft", fmt.Sprintf("saved draft %d", id))
	})
	return id, err
}

// SaveDraft puts the files in the place of those that the draft had in that version, and returns the new one. Where it has another version by now,
// it is a conflict. Files that are as they were make no new version.
func (db *DB) SaveDraft(ctx context.Context, id int64, version int, files map[string][]byte, who string) (now int, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if err := delayErasures(ctx, tx); err != nil {
			return err
		}
		s, err := readSaved(ctx, tx, id, "FOR UPDATE")
		if err != nil {
			return err
		}
		if now = s.Version; sameFiles(s.Files, files) {
			return nil
		}
		if s.Version != version {
			return notice.Conflict("%s has changed this draft since: it has version %d, and you changed version %d", s.ChangedBy, s.Version, version)
		}
		name, _ := notice.SplitActor(who)
		if err := tx.QueryRow(ctx, `UPDATE saved_draft SET version = version + 1, changed_by = $2, changed_at = clock_timestamp() WHERE id = $1 RETURNING version`,
			id, name).Scan(&now); err != nil {
			return fmt.Errorf("save draft %d: %w", id, err)
		}
		return keepFiles(ctx, tx, id, files)
	})
	return now, err
}

func sameFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, content := range a {
		if other, ok := b[name]; !ok || !bytes.Equal(content, other) {
			return false
		}
	}
	return true
}

// keepFiles makes these the files of a draft.
func keepFiles(ctx context.Context, tx pgx.Tx, id int64, files map[string][]byte) error {
	if err := exec(ctx, tx, "forget the files of a draft", `DELETE FROM saved_file WHERE draft_id = $1`, id); err != nil {
		return err
	}
	for name, content := range files {
		if err := exec(ctx, tx, "keep a file of a draft", `INSERT INTO saved_file VALUES ($1, $2, $3)`, id, name, append([]byte{}, content...)); err != nil {
			return err
		}
	}
	return nil
}

// DeleteSavedDraft deletes a draft that was being written.
func (db *DB) DeleteSavedDraft(ctx context.Context, id int64, who string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := readSaved(ctx, tx, id, "FOR UPDATE"); err != nil {
			return err
		}
		if err := exec(ctx, tx, "delete a saved draft", `DELETE FROM saved_draft WHERE id = $1`, id); err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "delete saved draft", fmt.Sprintf("saved draft %d", id))
	})
}

// DropOldSavedDrafts deletes drafts that nobody has changed for longer than keep.
func (db *DB) DropOldSavedDrafts(ctx context.Context, keep time.Duration) (rows int, more bool, err error) {
	gone, err := db.pool.Exec(ctx, `DELETE FROM saved_draft WHERE changed_at < clock_timestamp() - $1::interval`, keep)
	return int(gone.RowsAffected()), false, wrap(err, "drop old saved drafts")
}

// eraseFromSaved takes a customer out of the drafts that people write. The caller keeps others from saving drafts.
func eraseFromSaved(ctx context.Context, tx pgx.Tx, id string, addresses []string) error {
	drafts, err := collect[int64](ctx, tx, `SELECT id FROM saved_draft ORDER BY id FOR UPDATE`)
	if err != nil {
		return fmt.Errorf("look for a customer in saved drafts: %w", err)
	}
	e := eraserOf(id, addresses)
	for _, draft := range drafts {
		files, err := savedFiles(ctx, tx, draft)
		if err != nil {
			return err
		}
		changed := false
		for name, content := range files {
			text := e.erase(name, string(content))
			changed = changed || text != string(content)
			files[name] = []byte(text)
		}
		if !changed {
			continue
		}
		if err := keepFiles(ctx, tx, draft, files); err != nil {
			return err
		}
		if err := exec(ctx, tx, "count an erasure as a change", `UPDATE saved_draft SET version = version + 1 WHERE id = $1`, draft); err != nil {
			return err
		}
	}
	return nil
}

// erasedWord stands in a draft for a customer who was erased.
const erasedWord = "erased"

// eraser takes a customer out of the files of a draft.
type eraser struct {
	listed    *regexp.Regexp // their id or an address, in a line of a list
	quoted    *regexp.Regexp // their id in quotes, as filters have it
	addresses *regexp.Regexp // nil: they have none
}

// eraserOf returns the eraser of a customer. A word is found in any case, where it is no part of a longer one.
func eraserOf(id string, addresses []string) (e eraser) {
	const edge = `[^\pL\pN._%+@-]`
	whole := func(words []string) *regexp.Regexp {
		return regexp.MustCompile(`(?i)(^|` + edge + `)(?:` + strings.Join(words, "|") + `)($|\.?` + edge + `|\.$)`)
	}
	var their []string
	for _, a := range addresses {
		if a != "" {
			their = append(their, regexp.QuoteMeta(a))
		}
	}
	if len(their) > 0 {
		e.addresses = whole(their)
	}
	e.quoted = regexp.MustCompile(`(["'])` + regexp.QuoteMeta(id) + `(["'])`)
	e.listed = whole(append(their, regexp.QuoteMeta(id)))
	return e
}

// erase takes the customer out of a file. A list loses the line: another word in the place of an id would be the id of no customer.
func (e eraser) erase(name, content string) string {
	manifest, text := strings.HasSuffix(name, ".yaml"), strings.EqualFold(path.Ext(name), ".md")
	var b strings.Builder
	for line := range strings.Lines(content) {
		bare := strings.TrimRight(line, "\r\n")
		end := line[len(bare):]
		if !manifest && !text {
			if !e.listed.MatchString(bare) {
				b.WriteString(line)
			}
			continue
		}
		if manifest {
			bare = e.quoted.ReplaceAllString(bare, "${1}"+erasedWord+"${2}")
		}
		for e.addresses != nil && e.addresses.MatchString(bare) { // two that share the character between them are found one after the other
			bare = e.addresses.ReplaceAllString(bare, "${1}"+erasedWord+"${2}")
		}
		b.WriteString(bare + end)
	}
	return b.String()
}
