-- +goose Up

-- People who use the console. One who signs in elsewhere (OpenID Connect) has an issuer and a subject, and no password here.
CREATE TABLE console_user (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$'),
    role          text NOT NULL CHECK (role IN ('viewer', 'sender', 'approver', 'admin')),
    password      text,                              -- argon2id, as a PHC string
    issuer        text,
    subject       text,
    created_by    text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    signed_in_at  timestamptz,
    removed_by    text,
    removed_at    timestamptz,
    CHECK ((removed_at IS NULL) = (removed_by IS NULL)),
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    UNIQUE (issuer, subject)
);
-- A name is a person's for ever: it stands in the log.
CREATE UNIQUE INDEX console_user_name ON console_user (lower(name));

-- Of the secrets in cookies and links only hashes are kept: SHA-256, as they are 130 random bits.
CREATE TABLE console_session (
    hash     bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    user_id  bigint NOT NULL REFERENCES console_user,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    origin   text NOT NULL                           -- the address that it began from
);
CREATE INDEX console_session_user ON console_session (user_id);

CREATE TABLE sign_in_link (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    user_id    bigint NOT NULL REFERENCES console_user,
    expires_at timestamptz NOT NULL
);

-- The log says from where somebody acted, and can't be rewritten.
ALTER TABLE act ADD COLUMN origin text NOT NULL DEFAULT '';

-- +goose StatementBegin
CREATE FUNCTION keep_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log of acts is only added to' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
CREATE TRIGGER act_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON act FOR EACH STATEMENT EXECUTE FUNCTION keep_act();

-- The name of a person and that of a token are never the same: the log would not tell them apart.
-- +goose StatementBegin
CREATE FUNCTION own_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tocsin names'));
    IF EXISTS (SELECT FROM token WHERE lower(name) = lower(NEW.name) AND TG_TABLE_NAME <> 'token')
        OR EXISTS (SELECT FROM console_user WHERE lower(name) = lower(NEW.name) AND TG_TABLE_NAME <> 'console_user') THEN
        RAISE EXCEPTION 'the name is taken' USING ERRCODE = 'unique_violation', CONSTRAINT = 'own_name';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER token_own_name BEFORE INSERT ON token FOR EACH ROW EXECUTE FUNCTION own_name();
CREATE TRIGGER console_user_own_name BEFORE INSERT ON console_user FOR EACH ROW EXECUTE FUNCTION own_name();
