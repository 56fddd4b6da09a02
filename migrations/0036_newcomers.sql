-- +goose Up

-- Of a moved maintenance: a recipient to whom no notice of its old windows went, so that the mail announces the new ones.
ALTER TABLE recipient ADD COLUMN newcomer boolean NOT NULL DEFAULT false;

-- Recipients with the text of another language than the first that they want, as they were counted when the plan was made.
ALTER TABLE plan ADD COLUMN newcomers integer NOT NULL DEFAULT 0,
	ADD COLUMN fallback jsonb NOT NULL DEFAULT '{}', ADD COLUMN later_choice jsonb NOT NULL DEFAULT '{}';
ALTER TABLE notice ADD COLUMN newcomers integer NOT NULL DEFAULT 0,
	ADD COLUMN fallback jsonb NOT NULL DEFAULT '{}', ADD COLUMN later_choice jsonb NOT NULL DEFAULT '{}';
