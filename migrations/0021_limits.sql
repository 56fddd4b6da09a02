-- +goose Up

-- Limits of recipient domains that operators set while workers run; each goes before that of the workers' files.
CREATE TABLE domain_limit (
    domain text PRIMARY KEY CHECK (domain <> ''),   -- A-label, lower case
    rate double precision CHECK (rate > 0),         -- mails a second
    connections int CHECK (connections > 0),
    until_at timestamptz NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (rate IS NOT NULL OR connections IS NOT NULL)
);
