-- +goose Up

-- Support finds customers by the beginning of their name. Names may be longer than an index entry.
CREATE INDEX customer_name ON customer (left(lower(name), 200) text_pattern_ops) WHERE name <> '';
