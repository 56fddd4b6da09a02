-- +goose Up

-- The standbys that every commit has waited for since this note was committed. A standby that has the note and is one of them has every
-- commit that was acknowledged, as long as the note stands: so its promotion needs no hand. Empty: nobody knows of such a standby.
ALTER TABLE fence
    ADD COLUMN standbys   text[] NOT NULL DEFAULT '{}',
    ADD COLUMN noted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN failovers  integer NOT NULL DEFAULT 0; -- promotions that needed no hand
