-- +goose Up

-- The list of customers that a draft goes to. A release freezes it in recipient and empties it here.
CREATE TABLE listed (
    notice_id   bigint NOT NULL REFERENCES notice,
    customer_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (notice_id, customer_id)
);
CREATE INDEX listed_customer ON listed (customer_id);

-- Addresses that are never mailed. When the last customer who has one is erased, a keyed hash stands in its place.
CREATE TABLE suppression (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address_key text COLLATE "C" NOT NULL UNIQUE,    -- or 'erased:' and the hash
    reason      text NOT NULL CHECK (reason <> '' AND octet_length(reason) <= 200),
    added_by    text NOT NULL,
    added_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The key of those hashes: 32 bytes, drawn once.
CREATE TABLE erasure (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL
);
INSERT INTO erasure (key) VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- How many customers a row has lost by erasure. A row that has lost all of them has no address and owes nothing:
-- its address_key, here and in delivery, is 'erased:' and the seq, which no address can be.
ALTER TABLE recipient ADD COLUMN erased integer NOT NULL DEFAULT 0 CHECK (erased >= 0);

-- What stays of a notice whose rows were dropped because they were old: its chunks' sums.
ALTER TABLE notice
    ADD COLUMN rows_dropped_at    timestamptz,
    ADD COLUMN kept_counts        integer[] CHECK (array_length(kept_counts, 1) = 9),
    ADD COLUMN kept_first_sent_at timestamptz,
    ADD COLUMN kept_last_sent_at  timestamptz,
    ADD CHECK ((rows_dropped_at IS NULL) = (kept_counts IS NULL));
CREATE INDEX notice_kept ON notice (id) WHERE rows_dropped_at IS NULL AND state IN ('sent', 'cancelled');
