-- +goose Up

-- A notice can be tested before there is a draft of it: that act has no notice, and the key that it is to have.
ALTER TABLE act
    ALTER COLUMN notice_id DROP NOT NULL,
    ADD COLUMN notice_key text,
    ADD CONSTRAINT act_of CHECK (notice_id IS NOT NULL OR notice_key IS NOT NULL);
