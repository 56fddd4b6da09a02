-- +goose Up

-- A hold belongs to the file of settings that had it, or to the person who added it. One that was removed stays, so that a
-- start with the same file does not bring it back.
ALTER TABLE hold
    DROP CONSTRAINT hold_pkey,
    ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN added_by text,                        -- none: a file
    ADD COLUMN added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN removed_by text,
    ADD COLUMN removed_at timestamptz,
    ADD CHECK ((removed_at IS NULL) = (removed_by IS NULL));
CREATE UNIQUE INDEX hold_of_file ON hold (from_at, until_at) WHERE added_by IS NULL;
