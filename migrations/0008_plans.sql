-- +goose Up

-- The rows of a plan are written by the transaction that has made it, and go before it does. To look for it again with each
-- row was a third of what a plan of 1,000,000 took.
ALTER TABLE recipient DROP CONSTRAINT recipient_plan_id_fkey;
