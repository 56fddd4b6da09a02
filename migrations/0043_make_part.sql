-- +goose Up
SELECT schema_change(43, 41);

-- The owner of the tables makes parts, for anybody who may write recipients: a user of serve who owns nothing can plan.
-- +goose StatementBegin
CREATE FUNCTION make_part(lo bigint, hi bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    t text;
BEGIN
    IF NOT has_table_privilege(session_user, 'recipient', 'INSERT') THEN
        RAISE EXCEPTION 'user % may not write recipients', session_user USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOREACH t IN ARRAY ARRAY['recipient', 'member'] LOOP
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', t || '_' || $1, t);
        -- A plan that the statistics don't know would seem to have one row, and any index as good as another.
        EXECUTE format('ALTER TABLE %I ALTER COLUMN plan_id SET STATISTICS 0', t || '_' || $1);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', t, t || '_' || $1, $1, $2);
    END LOOP;
    INSERT INTO part VALUES ($1, $2);
END $$;
-- +goose StatementEnd
-- The number of the next plan, which is the given one at least.
-- +goose StatementBegin
CREATE FUNCTION plan_number(at_least bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    n bigint := nextval('plan_id_seq');
BEGIN
    IF n < $1 THEN
        n := setval('plan_id_seq', $1);
    END IF;
    RETURN n;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION make_part(bigint, bigint) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION plan_number(bigint) SET search_path = %I, pg_temp', current_schema());
END $$;
-- +goose StatementEnd
