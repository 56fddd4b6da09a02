-- +goose Up

-- A notice may go to a few mailboxes first, its canary, each in a chunk of its own. While trial is true, the other chunks are not claimed;
-- only an operator's resume ends it. canary is how many mailboxes were drawn, or are to be drawn once the audience is resolved; 0: none.
ALTER TABLE notice ADD COLUMN canary integer NOT NULL DEFAULT 0,
    ADD COLUMN trial boolean NOT NULL DEFAULT false;
ALTER TABLE chunk ADD COLUMN canary boolean NOT NULL DEFAULT false;
CREATE INDEX chunk_canary ON chunk (notice_id) WHERE canary;

-- The rows of the plan in the order in which a canary takes them; null in a plan of a version before.
ALTER TABLE plan ADD COLUMN canaries integer[];
