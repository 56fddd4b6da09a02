-- +goose Up

-- The version of the rules by which a notice's filters are read: those of the time when its body was given. A filter of
-- before means for ever what it meant then.
ALTER TABLE notice ADD COLUMN filter_rules smallint NOT NULL DEFAULT 1;
