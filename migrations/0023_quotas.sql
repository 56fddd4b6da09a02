-- +goose Up

-- The mails a day that a relay takes, by the settings of the worker that told of it last; none: as many as there are.
ALTER TABLE relay ADD COLUMN quota bigint CHECK (quota > 0);

-- How many mails of their quotas workers took for themselves, by the ten minutes in which they did. Each takes some at a time.
CREATE TABLE relay_quota (
    relay text NOT NULL,
    bucket timestamptz NOT NULL,    -- when its ten minutes begin
    taken bigint NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (relay, bucket)
);
