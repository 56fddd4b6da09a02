-- +goose Up

-- The row of equal refusals for which a notice is held: code, enhanced and text, and since when. None: it is not held for that.
ALTER TABLE notice ADD COLUMN brake jsonb, ADD COLUMN brake_since timestamptz, ADD CHECK ((brake IS NULL) = (brake_since IS NULL));
