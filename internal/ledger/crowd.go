package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// crowdPart is how many customers are counted where all would take longer, and crowdShares how many zones and languages are told.
const crowdPart, crowdShares = 20_000, 5

// crowdNames is how many attributes are offered.
const crowdNames = 200

// Crowd counts the customers that a choice is of: all, where that is quick, else the first of them. It reads each at most twice, in bounded time.
func (db *DB) Crowd(ctx context.Context, c Choice) (notice.Crowd, error) {
	all, late, err := db.crowd(ctx, c, "")
	if err == nil && late {
		all, late, err = db.crowd(ctx, c, fmt.Sprintf("LIMIT %d", crowdPart))
		all.More = late || all.Customers == crowdPart
	}
	if err == nil {
		all.Attributes, err = collect[string](ctx, db.pool, `SELECT name FROM attribute_name ORDER BY name COLLATE "C" LIMIT $1`, crowdNames)
	}
	return all, wrap(err, "count an audience")
}

// crowd counts a part of a choice; late says that it took too long.
func (db *DB) crowd(ctx context.Context, c Choice, limit string) (all notice.Crowd, late bool, err error) {
	zones, languages := map[string]int{}, map[string]int{}
	late, err = db.soon(ctx, c, func(tx pgx.Tx) error {
		var args []any
		where, err := c.sql(&args)
		if err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			SELECT time_zone, split_part(language, ',', 1), count(*), count(*) FILTER (WHERE email = '')
			FROM (SELECT time_zone, language, email FROM customer c WHERE `+where+` `+limit+`) c GROUP BY 1, 2`, args...)
		var zone, language string
		var n, without int
		_, err = pgx.ForEachRow(rows, []any{&zone, &language, &n, &without}, func() error {
			all.Customers, all.NoMailbox = all.Customers+n, all.NoMailbox+without
			zones[zone] += n
			languages[language] += n
			return nil
		})
		return err
	})
	all.Zones, all.Languages = shares(zones), shares(languages)
	return all, late, wrap(err, "count an audience")
}

// shares are the most frequent values.
func shares(of map[string]int) (all []notice.Share) {
	for name, n := range of {
		all = append(all, notice.Share{Name: name, N: n})
	}
	slices.SortFunc(all, func(a, b notice.Share) int { return cmp.Or(b.N-a.N, cmp.Compare(a.Name, b.Name)) })
	return all[:min(len(all), crowdShares)]
}
