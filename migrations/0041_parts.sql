-- +goose Up
SELECT schema_change(41, 41);

-- The rows of plans, in parts by range of the plans' numbers: a plan of many recipients has one of its own, others share one. What
-- was there is the first part as it is; nothing is copied. To drop a part is to detach its tables and to drop them.
-- +goose StatementBegin
DO $$
DECLARE
    bound bigint := (SELECT hi FROM part WHERE lo = 0);
    t text;
    i record;
BEGIN
    DROP VIEW delivery;
    FOREACH t IN ARRAY ARRAY['recipient', 'member'] LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', t, t || '_0');
        FOR i IN SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = (t || '_0')::regclass LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', i.relname, t || '_0' || substr(i.relname, length(t) + 1));
        END LOOP;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (plan_id)', t, t || '_0');
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT first_part', t);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%s)', t, t || '_0', bound);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT first_part', t || '_0');
    END LOOP;
    ANALYZE recipient_0, member_0; -- no plan comes to them from here on: the statistics know them all
    PERFORM setval(pg_get_serial_sequence('plan', 'id'), bound, false); -- the next plan is in the next part
END $$;
-- +goose StatementEnd

ALTER TABLE plan ADD COLUMN rows_gone boolean NOT NULL DEFAULT false; -- its rows were dropped, or go with their part

-- Whose rows a plan may have: of each customer's id and each mailbox six bits are set in one block of its plan. Where all six
-- are set, the plan is looked into; so one look-up finds a customer's plans, and no part is asked in vain but for one in hundreds.
-- A plan has 2^level blocks. The plans of the first part have none, and are looked into.
CREATE TABLE sieve (
    plan_id bigint NOT NULL,
    block   integer NOT NULL,
    level   smallint NOT NULL,
    bits    varbit NOT NULL,
    PRIMARY KEY (plan_id, block)
);
CREATE INDEX sieve_block ON sieve (level, block);

-- The block that a key has in a plan's sieve, and its bits there, follow from these numbers.
CREATE FUNCTION sieve_places(key text) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(('x' || encode(substr(sha256(convert_to(key, 'UTF8')), 1 + 4 * i, 4), 'hex'))::bit(32)::bigint ORDER BY i) FROM generate_series(0, 2) i
$$;
CREATE FUNCTION sieve_bit(places bigint[], nth integer, bits varbit) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT ((places[2] + nth * (places[3] | 1)) % length(bits))::int
$$;
-- The plans that may have a key, other than those of the first part.
CREATE FUNCTION sieved(key text) RETURNS SETOF bigint LANGUAGE sql STABLE ROWS 10 AS $$
    SELECT s.plan_id FROM (SELECT sieve_places(key) AS p OFFSET 0) k
    CROSS JOIN generate_series(0, 22) AS l(level)
    CROSS JOIN LATERAL (SELECT plan_id, bits FROM sieve WHERE sieve.level = l.level AND block = k.p[1] % (1::bigint << l.level) OFFSET 0) s
    WHERE get_bit(s.bits, sieve_bit(k.p, 0, s.bits)) = 1 AND get_bit(s.bits, sieve_bit(k.p, 1, s.bits)) = 1 AND get_bit(s.bits, sieve_bit(k.p, 2, s.bits)) = 1
        AND get_bit(s.bits, sieve_bit(k.p, 3, s.bits)) = 1 AND get_bit(s.bits, sieve_bit(k.p, 4, s.bits)) = 1 AND get_bit(s.bits, sieve_bit(k.p, 5, s.bits)) = 1
$$;

-- Rows of plans by their keys. Each look-up is planned for the number of its plan, so that it knows, locks and reads the one part:
-- a plan that is made for any number has all of them.
-- +goose StatementBegin
CREATE FUNCTION recipient_at(plan bigint, place integer) RETURNS SETOF recipient LANGUAGE plpgsql STABLE STRICT ROWS 1 AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT * FROM recipient WHERE plan_id = ' || plan || ' AND seq = $1' USING place;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION recipient_of(plan bigint, mailbox text) RETURNS SETOF recipient LANGUAGE plpgsql STABLE STRICT ROWS 1 AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT * FROM recipient WHERE plan_id = ' || plan || ' AND address_key = $1' USING mailbox;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION recipients_of(plan bigint, mailboxes text[]) RETURNS SETOF recipient LANGUAGE plpgsql STABLE STRICT ROWS 100 AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT * FROM recipient WHERE plan_id = ' || plan || ' AND address_key = ANY ($1)' USING mailboxes;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION recipients_in(plan bigint, lo integer, hi integer) RETURNS SETOF recipient LANGUAGE plpgsql STABLE STRICT ROWS 256 AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT * FROM recipient WHERE plan_id = ' || plan || ' AND seq >= $1 AND seq < $2' USING lo, hi;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION recipients_at(plan bigint, domains text[]) RETURNS SETOF recipient LANGUAGE plpgsql STABLE STRICT ROWS 100 AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT * FROM recipient WHERE plan_id = ' || plan || $q$ AND '*@' || split_part(address_key, '@', -1) = ANY ($1)$q$ USING domains;
END $$;
-- +goose StatementEnd
-- The rows on which a customer stands, in all plans.
-- +goose StatementBegin
CREATE FUNCTION members_of(customer text) RETURNS TABLE (plan_id bigint, seq integer) LANGUAGE plpgsql STABLE STRICT ROWS 10 AS $$
DECLARE
    plan bigint;
    bound bigint := (SELECT hi FROM part WHERE lo = 0);
BEGIN
    IF bound IS NOT NULL THEN
        RETURN QUERY EXECUTE 'SELECT plan_id, seq FROM member WHERE customer_id = $1 AND plan_id < ' || bound USING customer;
    END IF;
    FOR plan IN SELECT sieved('customer ' || customer) LOOP
        RETURN QUERY EXECUTE 'SELECT plan_id, seq FROM member WHERE customer_id = $1 AND plan_id = ' || plan USING customer;
    END LOOP;
END $$;
-- +goose StatementEnd
-- The rows of a mailbox, in all plans. Those of the first part are asked one by one.
-- +goose StatementBegin
CREATE FUNCTION mails_of(mailbox text) RETURNS TABLE (plan_id bigint, seq integer) LANGUAGE plpgsql STABLE STRICT ROWS 10 AS $$
DECLARE
    plan bigint;
    bound bigint := (SELECT hi FROM part WHERE lo = 0);
BEGIN
    IF bound IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT r.plan_id, r.seq FROM plan p CROSS JOIN LATERAL
            (SELECT * FROM recipient WHERE plan_id = p.id AND plan_id < %1$s AND address_key = $1 LIMIT 1) r WHERE p.id < %1$s', bound) USING mailbox;
    END IF;
    FOR plan IN SELECT sieved('mailbox ' || mailbox) LOOP
        RETURN QUERY EXECUTE 'SELECT plan_id, seq FROM recipient WHERE address_key = $1 AND plan_id = ' || plan USING mailbox;
    END LOOP;
END $$;
-- +goose StatementEnd

-- Why a delivery was stopped, by its mailbox and by its row.
CREATE FUNCTION stop_reason(notice_id bigint, mailbox text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN $2 LIKE 'erased:%' THEN 'erased'
        WHEN n.state = 'cancelled' THEN n.reason
        WHEN EXISTS (SELECT FROM suppression s WHERE s.address_key IN ($2, '*@' || split_part($2, '@', -1)) AND s.scope = ANY (scopes(n.body))) THEN 'suppression_list'
        ELSE 'superseded' END
    FROM notice n WHERE n.id = $1
$$;
CREATE OR REPLACE FUNCTION stop_reason(notice_id bigint, plan_id bigint, seq integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT stop_reason($1, address_key) FROM recipient_at($2, $3)
$$;
CREATE FUNCTION mailbox_at(plan_id bigint, seq integer) RETURNS text LANGUAGE sql STABLE AS $$ SELECT address_key FROM recipient_at($1, $2) $$;

-- As before, but a row is made of its chunk, its outcome and its answer alone: what stands in a part is looked up for the columns
-- address_key and reason. Where the recipient is read besides, "stopped" with its mailbox saves that.
CREATE VIEW delivery AS
SELECT c.notice_id, r.seq, c.id AS chunk_id, mailbox_at(c.plan_id, r.seq) AS address_key, s.state,
    coalesce(o.tries, 0) + CASE WHEN s.state = 1 OR s.taken AND coalesce(a.epoch, c.epoch) > coalesce(o.epoch, 0) THEN 1 ELSE 0 END AS tries,
    CASE WHEN s.taken THEN coalesce(a.code, 250) WHEN s.state = 1 THEN 0 ELSE coalesce(o.code, 0) END AS code,
    CASE WHEN s.state = 1 THEN c.epoch WHEN s.taken THEN greatest(a.epoch, o.epoch) ELSE coalesce(o.epoch, 0) END AS epoch,
    coalesce(o.unresolved, 0) AS unresolved,
    o.owed_at,
    CASE WHEN s.state IN (0, 3) THEN coalesce(o.due_at, c.due_at) END AS due_at,
    CASE WHEN s.taken THEN a.at WHEN s.state = 1 THEN to_timestamp(c.epoch / 1e6) WHEN o.seq IS NOT NULL THEN o.at WHEN s.state = 7 THEN c.stopped_at END AS at,
    CASE WHEN s.taken THEN a.at ELSE o.sent_at END AS sent_at,
    CASE WHEN s.stopped THEN stop_reason(c.notice_id, c.plan_id, r.seq) ELSE s.reason END AS reason,
    CASE WHEN s.taken THEN coalesce(a.relay, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.relay, '') END AS relay,
    CASE WHEN s.taken THEN coalesce(a.enhanced, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.enhanced, '') END AS enhanced,
    CASE WHEN s.taken THEN coalesce(a.reply, '') WHEN s.state = 1 THEN '' ELSE coalesce(o.reply, '') END AS reply,
    o.delivered_at, coalesce(o.delivered_by, '') AS delivered_by,
    s.stopped, -- it was stopped before it had an outcome: stop_reason says why
    s.reason AS own_reason -- that of its outcome
FROM chunk c
CROSS JOIN LATERAL generate_series(c.lo, c.hi - 1) AS r(seq)
LEFT JOIN LATERAL (SELECT * FROM outcome WHERE notice_id = c.notice_id AND seq = r.seq OFFSET 0) o ON true
CROSS JOIN LATERAL (SELECT state, taken, state = 7 AND o.seq IS NULL AS stopped,
        CASE WHEN taken OR state = 1 OR o.seq IS NULL THEN '' ELSE coalesce(o.bounce, o.reason) END AS reason
    FROM (SELECT
        CASE WHEN o.state = 8 THEN 8
            WHEN get_bit(c.sent, r.seq - c.lo) = 1 THEN 2
            WHEN get_bit(c.dots, r.seq - c.lo) = 1 AND (o.seq IS NULL OR o.state IN (0, 3) AND o.epoch < c.epoch) THEN 1
            WHEN o.seq IS NOT NULL THEN o.state
            WHEN get_bit(c.stopped, r.seq - c.lo) = 1 THEN 7
            ELSE 0 END::smallint AS state,
        get_bit(c.sent, r.seq - c.lo) = 1 AND o.state IS DISTINCT FROM 8 AS taken) t) s
LEFT JOIN LATERAL (
    SELECT DISTINCT ON (u.seq) u.seq, u.reply, at, epoch, relay, code, enhanced
    FROM answer, unnest(seqs, replies) AS u(seq, reply)
    WHERE get_bit(c.sent, r.seq - c.lo) = 1 AND notice_id = c.notice_id AND chunk_id = c.id AND r.seq = ANY (seqs) AND u.seq = r.seq
    ORDER BY u.seq, at) a ON a.seq = r.seq;
