-- +goose Up

-- A draft that is deleted leaves its log, and the plan that it had until the rows of that are dropped.
ALTER TABLE act DROP CONSTRAINT act_notice_id_fkey;
ALTER TABLE plan DROP CONSTRAINT plan_notice_id_fkey;
