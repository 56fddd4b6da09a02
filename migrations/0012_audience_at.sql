-- +goose Up

-- A notice whose audience is resolved when it leaves: until then it is released and has no plan.
ALTER TABLE notice
    ADD COLUMN max_recipients integer,               -- the most that it may mail then; none: its plan is taken by the release
    ADD CONSTRAINT notice_planned CHECK (plan_id IS NOT NULL OR state NOT IN ('sending', 'sent'));
