-- +goose Up

-- Directories of notices that people write in the console. Each change makes a new version, and names the one that it changes.
CREATE TABLE saved_draft (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version    integer NOT NULL DEFAULT 1,
    created_by text NOT NULL,
    changed_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE saved_file (
    draft_id bigint NOT NULL REFERENCES saved_draft ON DELETE CASCADE,
    name     text COLLATE "C" NOT NULL,
    content  bytea NOT NULL,
    PRIMARY KEY (draft_id, name)
);

-- Postgres keeps no samples of these files: they could name customers.
ALTER TABLE saved_file ALTER COLUMN content SET STATISTICS 0;
