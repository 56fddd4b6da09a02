-- +goose Up

-- The spelling of every attribute's name: names that differ by case alone are one attribute, which has the first of them.
CREATE TABLE attribute_name (
    folded text COLLATE "C" PRIMARY KEY,             -- in lower case
    name   text COLLATE "C" NOT NULL
);
INSERT INTO attribute_name
SELECT DISTINCT ON (lower(k)) lower(k), k
FROM (SELECT k, count(*) AS n FROM customer, jsonb_object_keys(attributes) k GROUP BY k) used
ORDER BY lower(k), n DESC, k COLLATE "C";

-- Where one customer has both, the value under the kept spelling stays.
UPDATE customer c SET updated_at = clock_timestamp(), attributes = (
    SELECT jsonb_object_agg(name, value) FROM (
        SELECT DISTINCT ON (a.name) a.name, e.value
        FROM jsonb_each(c.attributes) e JOIN attribute_name a ON a.folded = lower(e.key)
        ORDER BY a.name, e.key = a.name DESC, e.key COLLATE "C") one)
WHERE EXISTS (SELECT FROM jsonb_object_keys(c.attributes) k WHERE NOT EXISTS (SELECT FROM attribute_name a WHERE a.name = k));

-- Why an address that was kept before is refused today, '' for one that is not. Such an address has no key: nothing is
-- sent to it, and it takes the mail from nobody else at that mailbox.
ALTER TABLE customer
    ADD COLUMN email_fault           text NOT NULL DEFAULT '',
    ADD COLUMN alternate_email_fault text NOT NULL DEFAULT '',
    DROP CONSTRAINT customer_check,
    DROP CONSTRAINT customer_check1,
    ADD CONSTRAINT customer_email_key CHECK ((email = '' OR email_fault <> '') = (email_key = '')),
    ADD CONSTRAINT customer_alternate_email_key CHECK ((alternate_email = '' OR alternate_email_fault <> '') = (alternate_email_key = ''));
CREATE INDEX customer_fault ON customer (id) WHERE email_fault <> '' OR alternate_email_fault <> '';
