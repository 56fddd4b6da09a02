-- +goose Up

-- The marks of workers that have made none for a long time, and have no row in mark_number any more: their number goes on
-- from there should they come back. Their sum stands in mark_number, as that of the worker "pruned".
CREATE TABLE mark_pruned (
    worker text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL
);
