package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// A promotion without a hand: the fence takes over the timeline of a standby that has every acknowledged commit. All of this has to
// hold, else notices are held as after a restore:
//   - the system identifier and the database are the same, and the timeline is the next one;
//   - the note of standbys, as the promoted server has it, names that server, and was renewed within noteLasts: a backup of a standby
//     has a note too, and its mirrors may be as old, or lost;
//   - a living process or a mirror knows of a note;
//   - no number of marks that a living process or a mirror knows is above the ledger's. A process that can't reach Postgres tells
//     the mirrors its own, so they are looked at followAfter after the promotion was first seen.
const (
	followAfter = 2 * time.Second
	noteLasts   = 10 * time.Minute
)

// errFollow has the connection wait: whether the promoted server is followed is not decided yet.
const errFollow = notice.Unready("Postgres was promoted: it is used once the marks of all workers were compared with it")

// identity compares a fence with the server that its ledger is found in.
type identity struct {
	Changed  bool
	Next     bool  // all the same but for the timeline, which is the next
	Fresh    bool  // the note was renewed within noteLasts
	Timeline int64 // the server's
	Standbys []string
	Cluster  string // its setting cluster_name
	Conninfo string // its setting primary_conninfo; "" where the user may not see it
}

func askIdentity(ctx context.Context, q querier) (i identity, err error) {
	err = q.QueryRow(ctx, `
		SELECT (system_identifier, timeline, database_oid) IS DISTINCT FROM (is_system, is_timeline, is_oid),
			(system_identifier, timeline + 1, database_oid) IS NOT DISTINCT FROM (is_system, is_timeline, is_oid), is_timeline, standbys,
			noted_at > clock_timestamp() - $1::interval,
			current_setting('cluster_name'), coalesce((SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'), '')
		FROM (`+identitySQL+`) i`, noteLasts).Scan(&i.Changed, &i.Next, &i.Timeline, &i.Standbys, &i.Fresh, &i.Cluster, &i.Conninfo)
	return i, wrap(err, "ask which server this is")
}

var applicationName = regexp.MustCompile(`(?:^|\s)application_name\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))`)

// nameAsStandby is the name under which a server followed its primary, in lower case; "" where it is not known.
func nameAsStandby(conninfo, cluster string) string {
	if conninfo == "" {
		return "" // it never was one, or the user may not see it
	}
	m := applicationName.FindStringSubmatch(conninfo)
	if m == nil {
		return strings.ToLower(cluster)
	}
	return strings.ToLower(m[1] + m[2])
}

// mayFollow reports whether a changed identity is that of a standby which the note names.
func (i identity) mayFollow() bool {
	name := nameAsStandby(i.Conninfo, i.Cluster)
	return i.Next && i.Fresh && name != "" && slices.Contains(i.Standbys, name)
}

// follow decides about a promoted server that the note names, by all marks that are known. It takes over the timeline, or raises the fence.
func (db *DB) follow(ctx context.Context, conn *pgx.Conn, timeline int64) (raised bool, err error) {
	if !db.fence.sighted(timeline) || len(db.fence.mirrors) == 0 {
		return false, errFollow
	}
	var ledger string
	if err := conn.QueryRow(ctx, `SELECT ledger FROM fence`).Scan(&ledger); err != nil {
		return false, fmt.Errorf("read the ledger's name: %w", err)
	}
	known := db.fence.remembered()
	for _, m := range db.fence.mirrors {
		numbers, err := m.Marks(ctx, ledger)
		if err != nil {
			return false, fmt.Errorf("read the mirror of marks: %w", err)
		}
		for worker, n := range numbers {
			if known == nil {
				known = map[string]int64{}
			}
			known[worker] = max(known[worker], n)
		}
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
		raised, err = db.adopt(ctx, tx, known)
		return err
	})
	return raised, err
}

func (db *DB) adopt(ctx context.Context, tx pgx.Tx, known map[string]int64) (raised bool, err error) {
	if err := exec(ctx, tx, "lock the fence", `SELECT 1 FROM fence FOR UPDATE`); err != nil {
		return false, err
	}
	i, err := askIdentity(ctx, tx)
	if err != nil || !i.Changed { // another process was faster
		return false, err
	}
	inside, err := markNumbers(ctx, tx)
	if err != nil {
		return false, err
	}
	missing, _, err := lost(ctx, tx, inside, known)
	if err != nil {
		return false, err
	}
	if len(missing) > 0 || known[standbyNote] == 0 || !i.mayFollow() {
		return true, db.raise(ctx, tx, "a standby was promoted that may lack marks", missing)
	}
	err = exec(ctx, tx, "take over the timeline", `UPDATE fence SET timeline = $1, failovers = failovers + 1, changed_at = clock_timestamp()`, i.Timeline)
	if err != nil {
		return false, err
	}
	// The next one that is promoted has to be waited for by this server: the old note counts for less from now on.
	if err := db.writeNote(ctx, tx, []string{}); err != nil {
		return false, err
	}
	detail := fmt.Sprintf("%s, timeline %d", nameAsStandby(i.Conninfo, i.Cluster), i.Timeline)
	if err := recordOther(ctx, tx, "tocsin", "failover", detail); err != nil {
		return false, err
	}
	db.fence.logger.Warn("Postgres failed over to a standby that has every commit: sending goes on", slog.Int64("timeline", i.Timeline))
	return false, nil
}

// sighted notes a promotion, and reports whether it was first seen long enough ago.
func (f *fence) sighted(timeline int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timeline != timeline {
		f.timeline, f.seen = timeline, time.Now()
	}
	return time.Since(f.seen) >= followAfter
}

// tellOwn keeps in the mirrors the marks of this process while its Postgres is away: those who look at the one that takes over
// must find them.
func (db *DB) tellOwn(ctx context.Context) {
	f := db.fence
	f.mu.Lock()
	ledger, own := f.ledger, maps.Clone(f.known)
	f.mu.Unlock()
	maps.DeleteFunc(own, func(worker string, _ int64) bool { return worker != f.worker && worker != standbyNote })
	if ledger == "" || len(own) == 0 {
		return
	}
	for _, m := range f.mirrors {
		outside, err := m.Marks(ctx, ledger)
		if more := beyond(outside, own); err == nil && len(more) > 0 {
			_ = m.KeepMarks(ctx, ledger, more) // tried again as long as Postgres is away
		}
	}
}
