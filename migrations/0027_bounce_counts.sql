-- +goose Up

-- A reader complains; other reports of that form (RFC 5965) are of the kind complaint too.
ALTER TABLE bounce ADD COLUMN complains boolean NOT NULL DEFAULT false;
UPDATE bounce b SET complains = true FROM act a
    WHERE b.kind = 'complaint' AND a.notice_id = b.notice_id AND a.what = 'complaint' AND a.detail = 'by a reader of delivery ' || b.seq;

-- How many mails of a notice came back, and of how many a reader complained, by the domain that they went to.
CREATE TABLE bounce_count (
    notice_id bigint NOT NULL REFERENCES notice,
    domain    text NOT NULL,               -- '' of customers who were erased, and where the notice's rows were dropped
    class     text NOT NULL CHECK (class IN ('no_such_mailbox', 'full', 'policy', 'transient', 'other', 'complaint')),
    mails     integer NOT NULL CHECK (mails >= 0),
    look_at   integer NOT NULL DEFAULT 0,  -- of policy: the mails to the domain are counted when so many came back
    warned_at timestamptz,                 -- of policy: when the notice's log said that too many did
    PRIMARY KEY (notice_id, domain, class)
) WITH (fillfactor = 50);
CREATE INDEX bounce_count_warned ON bounce_count (warned_at) WHERE warned_at IS NOT NULL;
INSERT INTO bounce_count (notice_id, domain, class, mails)
    SELECT b.notice_id, CASE WHEN r.address_key LIKE '%@%' THEN split_part(r.address_key, '@', -1) ELSE '' END,
        CASE WHEN b.complains THEN 'complaint' ELSE b.class END, count(*)
    FROM bounce b JOIN notice n ON n.id = b.notice_id JOIN recipient r ON r.plan_id = n.plan_id AND r.seq = b.seq
    WHERE b.changed OR b.complains GROUP BY 1, 2, 3;
