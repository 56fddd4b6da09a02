-- +goose Up

-- The processes that are alive and send, and the patterns of the mailboxes that each sends to alone. None: to everybody.
-- Workers whose patterns differ do not send.
CREATE TABLE sender (
    process text COLLATE "C" PRIMARY KEY,
    only_to text[] NOT NULL,
    alive_until timestamptz NOT NULL
);

-- The patterns of the worker that claimed a chunk of the notice last: while there are some, subjects are marked.
ALTER TABLE notice ADD COLUMN only_to text[] NOT NULL DEFAULT '{}';
