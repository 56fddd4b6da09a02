-- +goose Up

-- The rows that operators added to released notices, each for another mailbox of a customer who stands on the notice. They stand for
-- nobody in the sums: member has each customer once.
CREATE TABLE added (
    plan_id     bigint NOT NULL,
    seq         integer NOT NULL,
    customer_id text COLLATE "C",                    -- none: the customer was erased
    added_by    text NOT NULL,
    added_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (plan_id, seq)
);
CREATE INDEX added_customer ON added (customer_id);

ALTER TABLE recipient DROP CONSTRAINT recipient_role_check,
    ADD CONSTRAINT recipient_role_check CHECK (role IN ('primary', 'alternate', 'added'));
