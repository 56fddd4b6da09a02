-- +goose Up

-- Times in which nothing leaves: the planned holds of the settings.
CREATE TABLE hold (
    from_at  timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    reason   text NOT NULL DEFAULT '',
    CHECK (from_at < until_at),
    PRIMARY KEY (from_at, until_at)
);

-- Which database this ledger was written in, and whether it was found in another one or with less in it than it had:
-- then it came from a backup, and what left after that backup is unknown to it.
CREATE TABLE fence (
    one               boolean PRIMARY KEY DEFAULT true CHECK (one),
    ledger            uuid NOT NULL DEFAULT gen_random_uuid(), -- the same in all copies, unlike any other ledger's
    system_identifier numeric NOT NULL,
    timeline          bigint NOT NULL,
    database_oid      bigint NOT NULL,
    up                boolean NOT NULL DEFAULT false, -- releases are held until an operator lifts it
    reason            text NOT NULL DEFAULT '',
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- How many marks each worker has made; mirrored outside, where a restored ledger can't lose them.
CREATE TABLE mark_number (
    worker     text COLLATE "C" PRIMARY KEY,
    number     bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20);

ALTER TABLE notice ADD COLUMN held_until timestamptz; -- when a planned hold that stopped it ends; none: a fence did
