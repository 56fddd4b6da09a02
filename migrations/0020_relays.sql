-- +goose Up

-- The relays that workers have in their settings, and the time for which an operator lets one rest.
CREATE TABLE relay (
    name text PRIMARY KEY CHECK (name <> ''),
    seen_at timestamptz NOT NULL,       -- a worker last said that it has it
    rests_until timestamptz,            -- none: it does not rest
    rested_by text,
    rested_at timestamptz,
    reason text NOT NULL DEFAULT '',
    CHECK ((rests_until IS NULL) = (rested_by IS NULL) AND (rests_until IS NULL) = (rested_at IS NULL))
);
