-- +goose Up

-- The compiled mails of plans. A worker of any version sends them as they were planned. They hold no data of customers.
CREATE TABLE mail (
    digest  bytea PRIMARY KEY CHECK (length(digest) = 32), -- SHA-256 of encoded; equal mails of several plans are one row
    encoded bytea NOT NULL                                 -- as package render encodes it
);

-- The compiled mail that a number in a plan's recipients means.
CREATE TABLE pin (
    plan_id bigint NOT NULL,
    number  smallint NOT NULL,
    digest  bytea NOT NULL REFERENCES mail,
    PRIMARY KEY (plan_id, number)
);
CREATE INDEX pin_digest ON pin (digest);

ALTER TABLE recipient ADD COLUMN mail smallint; -- the number of its compiled mail; none: the worker compiles it
