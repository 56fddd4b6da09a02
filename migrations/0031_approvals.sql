-- +goose Up

-- A release may want another person than those who wrote the notice. edited_by has the names of all who replaced the draft; created_by is the first
-- author. asked is the release that waits for approval, under the digest of its plan. Both names stay with the notice.
ALTER TABLE notice ADD COLUMN edited_by text[] NOT NULL DEFAULT '{}',
    ADD COLUMN asked jsonb,
    ADD COLUMN approved_by text NOT NULL DEFAULT '',
    ADD COLUMN override text NOT NULL DEFAULT ''; -- why it went without another person
