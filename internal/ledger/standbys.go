package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The note of standbys: while every commit waits for the same standbys, the ledger names them in its fence. A standby has all that
// was committed before the last thing that it has. So one that has the note, and is named in it, has every acknowledged commit,
// unless the primary stopped waiting after it wrote the note. That is written down too, and counted as the marks of a worker are:
// a standby that was promoted with an older count is a ledger that has gone back.
const standbyNote = "standbys"

// renewNote is how old a note becomes: a standby that lags behind by more is told by its count.
const renewNote = 30 * time.Second

// replication is how a primary waits for its standbys.
type replication struct {
	Setting string   // synchronous_standby_names
	Names   []string // of the standbys that are connected, in lower case, with their states
	States  []string // "" where the user may not see it
}

const replicationSQL = `
	SELECT current_setting('synchronous_standby_names'), coalesce(array_agg(lower(application_name) ORDER BY pid) FILTER (WHERE pid IS NOT NULL), '{}'),
		coalesce(array_agg(coalesce(sync_state, '') ORDER BY pid) FILTER (WHERE pid IS NOT NULL), '{}')
	FROM pg_stat_replication`

func askReplication(ctx context.Context, q querier) (r replication, err error) {
	err = q.QueryRow(ctx, replicationSQL).Scan(&r.Setting, &r.Names, &r.States)
	return r, wrap(err, "ask for the standbys")
}

var (
	waitsFor    = regexp.MustCompile(`(?is)^\s*(?:(?:FIRST\s+|ANY\s+)?(\d+)\s*\((.*)\)|(.*))\s*$`)
	standbyName = regexp.MustCompile(`^\s*(?:"((?:[^"]|"")*)"|([^\s",()*]+))\s*(?:,|$)`)
)

// everyStandby returns the standbys of a setting synchronous_standby_names, in lower case, where each commit waits for all
// of them; nil where it waits for some, or may wait for any.
func everyStandby(setting string) (names []string) {
	m := waitsFor.FindStringSubmatch(setting)
	if m == nil {
		return nil
	}
	count, list := 1, m[3]
	if m[1] != "" {
		count, _ = strconv.Atoi(m[1])
		list = m[2]
	}
	for list != "" {
		n := standbyName.FindStringSubmatch(list)
		if n == nil {
			return nil
		}
		name := strings.ToLower(n[2])
		if n[2] == "" {
			name = strings.ToLower(strings.ReplaceAll(n[1], `""`, `"`))
		}
		if name == "" || slices.Contains(names, name) {
			return nil
		}
		names, list = append(names, name), list[len(n[0]):]
	}
	if count < len(names) {
		return nil
	}
	return names
}

// sure returns the standbys that every commit waits for, and whether all of them are there. Of two with the same name, or where the
// user may not see how they are waited for, nobody can be sure.
func (r replication) sure() (names []string, there bool) {
	names, there = everyStandby(r.Setting), true
	for _, name := range names {
		seen := 0
		for i := range r.Names {
			if r.Names[i] != name {
				continue
			}
			seen++
			if r.States[i] == "" {
				return nil, false
			}
			there = there && (r.States[i] == "sync" || r.States[i] == "quorum")
		}
		if seen > 1 {
			return nil, false
		}
		there = there && seen == 1
	}
	return names, there && len(names) > 0
}

// noteStandbys brings the note up to date. Names are noted once they have been the same at two calls: other processes of the server
// may take over a new setting a moment later than this connection. They are struck out at once. It returns the setting.
func (db *DB) noteStandbys(ctx context.Context) (setting string, err error) {
	r, err := askReplication(ctx, db.pool)
	if err != nil {
		return "", err
	}
	var noted []string
	var age time.Duration
	if err := db.pool.QueryRow(ctx, `SELECT standbys, clock_timestamp() - noted_at FROM fence`).Scan(&noted, &age); err != nil {
		return "", fmt.Errorf("read the note of standbys: %w", err)
	}
	names, there := r.sure()
	settled := db.fence.settled(r.Setting)
	switch {
	case slices.Equal(noted, names) && (len(names) == 0 || !there || age < renewNote):
		return r.Setting, nil
	case !there || !settled:
		if len(noted) == 0 || slices.Equal(noted, names) {
			return r.Setting, nil
		}
		names = nil
	}
	return r.Setting, db.inTx(ctx, func(tx pgx.Tx) error { return db.writeNote(ctx, tx, append([]string{}, names...)) })
}

// writeNote replaces the note, and counts that.
func (db *DB) writeNote(ctx context.Context, tx pgx.Tx, names []string) error {
	var before []string
	if err := tx.QueryRow(ctx, `SELECT standbys FROM fence FOR UPDATE`).Scan(&before); err != nil {
		return fmt.Errorf("lock the note of standbys: %w", err)
	}
	err := exec(ctx, tx, "note the standbys", `UPDATE fence SET standbys = $1, noted_at = clock_timestamp()`, names)
	if err == nil {
		err = exec(ctx, tx, "count the notes of standbys", markNumberSQL, standbyNote, 1)
	}
	if err == nil && !slices.Equal(before, names) {
		db.fence.logger.Info("the standbys that every commit waits for have changed", slog.Any("standbys", names))
	}
	return err
}

// settled notes a setting, and reports whether it is that of the last call.
func (f *fence) settled(setting string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	same := f.met != nil && *f.met == setting
	f.met = &setting
	return same
}

// waits reports whether commits wait for the standbys that the note was last compared with, and the mirrors with the note.
func (f *fence) waits(setting string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.setting == nil || *f.setting == setting
}

// unsyncedKey is a key of a connection's custom data: a commit over it was told not to wait for a standby any more.
const unsyncedKey = "unsynced"

// noteUnsynced notes that a commit was told not to wait for a standby any more (pg_cancel_backend). The server acknowledges it with a
// warning, and the standby may lack it. The connection is of no use any more.
func noteUnsynced(conn *pgconn.PgConn, n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" { // its code is that of any warning, and its text is in the server's language
		conn.CustomData()[unsyncedKey] = true
		_ = conn.Conn().Close()
	}
}

// errUnsynced says that it is not known whether a commit lasts: it is to be asked for again.
var errUnsynced = errors.New("the server does not wait for its standby any more")

// synced returns errUnsynced after a commit that no standby need have.
func synced(conn *pgx.Conn) error {
	if yes, _ := conn.PgConn().CustomData()[unsyncedKey].(bool); yes {
		return errUnsynced
	}
	return nil
}
