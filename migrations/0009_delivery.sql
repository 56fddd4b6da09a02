-- +goose Up

-- As before, but the planner sees that a delivery has one answer at most: a query that asks for no column of it reads none.
CREATE OR REPLACE VIEW delivery AS
SELECT c.notice_id, r.seq, c.id AS chunk_id, r.address_key, s.state,
    coalesce(o.tries, 0) + CASE WHEN s.state = 1 OR s.taken AND coalesce(a.epoch, c.epoch) > coalesce(o.epoch, 0) THEN 1 ELSE 0 END AS tries,
    CASE WHEN s.taken THEN coalesce(a.code, 250) WHEN s.state = 1 THEN 0 ELSE coalesce(o.code, 0) END AS code,
    CASE WHEN s.state = 1 THEN c.epoch WHEN s.taken THEN greatest(a.epoch, o.epoch) ELSE coalesce(o.epoch, 0) END AS epoch,
    coalesce(o.unresolved, 0) AS unresolved,
    o.owed_at,
    CASE WHEN s.state IN (0, 3) THEN coalesce(o.due_at, c.due_at) END AS due_at,
    CASE WHEN s.taken THEN a.at WHEN s.state = 1 THEN to_timestamp(c.epoch / 1e6) WHEN o.seq IS NOT NULL THEN o.at WHEN s.state = 7 THEN c.stopped_at END AS at,
    CASE WHEN s.taken THEN a.at ELSE o.sent_at END AS sent_at,
    CASE WHEN s.taken OR s.state = 1 THEN '' WHEN o.seq IS NOT NULL THEN o.reason
        WHEN s.state = 7 THEN stop_reason(c.notice_id, c.plan_id, r.seq) ELSE '' END AS reason,
    CASE WHEN s.taken THEN coalesce(a.relay, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.relay, '') END AS relay,
    CASE WHEN s.taken THEN coalesce(a.enhanced, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.enhanced, '') END AS enhanced,
    CASE WHEN s.taken THEN coalesce(a.reply, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.reply, '') END AS reply
FROM chunk c
JOIN recipient r ON r.plan_id = c.plan_id AND r.seq >= c.lo AND r.seq < c.hi
LEFT JOIN LATERAL (SELECT * FROM outcome WHERE notice_id = c.notice_id AND seq = r.seq OFFSET 0) o ON true
CROSS JOIN LATERAL (SELECT
    CASE WHEN o.state = 8 THEN 8
        WHEN get_bit(c.sent, r.seq - c.lo) = 1 THEN 2
        WHEN get_bit(c.dots, r.seq - c.lo) = 1 AND (o.seq IS NULL OR o.state IN (0, 3) AND o.epoch < c.epoch) THEN 1
        WHEN o.seq IS NOT NULL THEN o.state
        WHEN get_bit(c.stopped, r.seq - c.lo) = 1 THEN 7
        ELSE 0 END::smallint AS state,
    get_bit(c.sent, r.seq - c.lo) = 1 AND o.state IS DISTINCT FROM 8 AS taken) s
LEFT JOIN LATERAL (
    SELECT DISTINCT ON (u.seq) u.seq, u.reply, at, epoch, relay, code, enhanced
    FROM answer, unnest(seqs, replies) AS u(seq, reply)
    WHERE get_bit(c.sent, r.seq - c.lo) = 1 AND notice_id = c.notice_id AND chunk_id = c.id AND r.seq = ANY (seqs) AND u.seq = r.seq
    ORDER BY u.seq, at) a ON a.seq = r.seq;
