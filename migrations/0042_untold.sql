-- +goose Up
SELECT schema_change(42, 41);

-- Of a moved maintenance: a recipient to whom earlier notices owe the old windows. They are a newcomer if those never leave, which is known when the notice begins.
ALTER TABLE recipient ADD COLUMN owed_old boolean;
ALTER TABLE plan ADD COLUMN owed_old integer NOT NULL DEFAULT 0;

-- Those of them who are newcomers: earlier notices were superseded before they left. NULL: none are.
ALTER TABLE chunk ADD COLUMN untold varbit;
