-- +goose Up

-- Who may use the API. The token itself is shown once, to the person who adds it, and not kept.
CREATE TABLE token (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$'),
    role       text NOT NULL CHECK (role IN ('viewer', 'sender', 'approver', 'admin', 'metrics', 'bounces')),
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),   -- SHA-256: a token is 130 random bits
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_by text,
    revoked_at timestamptz,
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
-- A name is a person's or a service's for ever: it stands in the log.
CREATE UNIQUE INDEX token_name ON token (lower(name));

-- Not every act is about a notice. Beside the name of the token stands what the client calls the person who used it.
ALTER TABLE act
    DROP CONSTRAINT act_of,
    ADD COLUMN note text NOT NULL DEFAULT '';
