-- +goose Up

-- The secrets that sign the token of an attempt in its envelope sender. The newest signs, and each is accepted.
CREATE TABLE bounce_key (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key     bytea NOT NULL CHECK (length(key) >= 16),
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO bounce_key (key) VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- What came back of an attempt, each kind once, whether or not it changed the delivery.
CREATE TABLE bounce (
    notice_id  bigint NOT NULL,
    seq        int NOT NULL,
    epoch      bigint NOT NULL,                 -- of the attempt
    kind       text NOT NULL CHECK (kind IN ('bounce', 'delay', 'delivery', 'complaint', 'auto_reply')),
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    class      text NOT NULL DEFAULT '',        -- of outcome.bounce; '' where nothing failed
    code       smallint NOT NULL DEFAULT 0,     -- SMTP reply code, 0 for none
    status     text NOT NULL DEFAULT '',        -- RFC 3463
    diagnostic text NOT NULL DEFAULT '',        -- the words of the server that said so
    remote     text NOT NULL DEFAULT '',        -- that server, by its own name
    changed    boolean NOT NULL DEFAULT false,  -- the delivery is in another state since
    PRIMARY KEY (notice_id, seq, epoch, kind)
);

ALTER TABLE outcome DROP CONSTRAINT outcome_bounce_check;
ALTER TABLE outcome ADD CONSTRAINT outcome_bounce_check CHECK (bounce IN ('no_such_mailbox', 'full', 'policy', 'transient', 'other'));

-- As before, with the class of a bounce as its reason, and when and by whom the mail was delivered.
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
    CASE WHEN s.taken OR s.state = 1 THEN '' WHEN o.seq IS NOT NULL THEN coalesce(o.bounce, o.reason)
        WHEN s.state = 7 THEN stop_reason(c.notice_id, c.plan_id, r.seq) ELSE '' END AS reason,
    CASE WHEN s.taken THEN coalesce(a.relay, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.relay, '') END AS relay,
    CASE WHEN s.taken THEN coalesce(a.enhanced, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.enhanced, '') END AS enhanced,
    CASE WHEN s.taken THEN coalesce(a.reply, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.reply, '') END AS reply,
    o.delivered_at, coalesce(o.delivered_by, '') AS delivered_by
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
