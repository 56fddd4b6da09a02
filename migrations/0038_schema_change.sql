-- +goose Up

-- The programs that may work on a schema: those that know the schema `oldest` or a newer one.
CREATE TABLE schema_serves (
    version bigint PRIMARY KEY,
    oldest  bigint NOT NULL CHECK (oldest BETWEEN 1 AND version)
);

-- Each migration from here on begins with SELECT schema_change(VERSION, OLDEST). Where programs that worked on the schema before may not
-- go on, it refuses while a worker holds a lease. It keeps chunks locked until the migration has committed; a claim locks its chunk before
-- it looks at the version, so that none of those programs claims anything afterwards.
-- +goose StatementBegin
CREATE FUNCTION schema_change(version bigint, oldest bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF schema_change.oldest > coalesce((SELECT s.oldest FROM schema_serves s ORDER BY s.version DESC LIMIT 1), 0) THEN
        LOCK TABLE chunk IN EXCLUSIVE MODE;
        IF EXISTS (SELECT FROM chunk WHERE lease_until > clock_timestamp()) THEN
            RAISE EXCEPTION 'a worker holds a lease: stop all workers of the version before, and run this again when their leases have ended (a minute after the last one)'
                USING ERRCODE = 'object_in_use';
        END IF;
    END IF;
    INSERT INTO schema_serves VALUES (schema_change.version, schema_change.oldest);
END $$;
-- +goose StatementEnd

SELECT schema_change(38, 38);
