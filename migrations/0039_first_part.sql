-- +goose Up
SELECT schema_change(39, 38);

-- The rows of plans will stand in parts by range of their numbers, and those of today are the first. That part ends where no plan
-- comes before the change is complete. New rows are compared with its end from here on, those of today by the next change: with
-- one that is checked, the part can be attached without a look at its rows.
CREATE TABLE part (
    lo    bigint PRIMARY KEY,                        -- of the numbers of its plans, inclusive
    hi    bigint NOT NULL CHECK (lo < hi),           -- exclusive
    going boolean NOT NULL DEFAULT false             -- its tables are being dropped
);
INSERT INTO part (lo, hi) SELECT 0, 100000 + greatest(1, (SELECT max(id) FROM plan), pg_sequence_last_value(pg_get_serial_sequence('plan', 'id')::regclass));
-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['recipient', 'member'] LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT first_part CHECK (plan_id < %s) NOT VALID', t, (SELECT hi FROM part));
    END LOOP;
END $$;
-- +goose StatementEnd
