-- +goose Up

-- owed_at is set where an operator had a delivery owed again; without it, it is owed since the release, or since it was to leave.
ALTER TABLE outcome ALTER COLUMN owed_at DROP NOT NULL, ALTER COLUMN owed_at DROP DEFAULT;

-- Columns that are null take no space: they are there so that rows need not be migrated again.
ALTER TABLE outcome
    ADD COLUMN bounce       text CHECK (bounce IN ('no_mailbox', 'full', 'policy', 'transient', 'other')), -- why it came back
    ADD COLUMN delivered_at timestamptz,             -- when the recipient's server took it, as a log or a notification says
    ADD COLUMN delivered_by text,                    -- which one, by its own name
    ADD COLUMN digest       bigint,                  -- of the mail's bytes; none: not kept
    ADD CHECK (bounce IS NULL OR state = 8);
ALTER TABLE answer ADD COLUMN digests bigint[];      -- of the mails, by seqs

-- The 250s of a worker that died before it gave its chunk back were carried over, but not when they came.
UPDATE chunk c SET first_sent_at = least(c.first_sent_at, a.first), last_sent_at = greatest(c.last_sent_at, a.last)
FROM (SELECT notice_id, chunk_id, min(at) AS first, max(at) AS last FROM answer GROUP BY notice_id, chunk_id) a
WHERE a.notice_id = c.notice_id AND a.chunk_id = c.id AND (c.first_sent_at IS DISTINCT FROM least(c.first_sent_at, a.first)
    OR c.last_sent_at IS DISTINCT FROM greatest(c.last_sent_at, a.last));

-- Nothing of a notice whose rows were dropped has a chunk.
DELETE FROM chunk c USING notice n WHERE n.id = c.notice_id AND n.rows_dropped_at IS NOT NULL;
