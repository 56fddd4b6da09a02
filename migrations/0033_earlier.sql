-- +goose Up

-- The earlier notices of the incident that the mails of a plan show, as they were when it was made.
ALTER TABLE plan ADD COLUMN earlier jsonb NOT NULL DEFAULT '[]';
