-- +goose Up

-- An amendment has a row for each row of the notice that it stops, with the same seq, and two texts: a bit of its chunks says which mailboxes may
-- have had an earlier version, and get the correction.
ALTER TABLE notice ADD COLUMN amends bigint REFERENCES notice; -- the notice that it stopped
CREATE UNIQUE INDEX notice_amends ON notice (amends);

ALTER TABLE plan ADD COLUMN amends bigint; -- the plan whose rows it copies
ALTER TABLE recipient ADD COLUMN correction smallint; -- the number of the compiled mail with the correction; none: the worker compiles it
ALTER TABLE chunk ADD COLUMN corrects varbit; -- of an amendment: the deliveries that are corrections
