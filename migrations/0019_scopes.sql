-- +goose Up

-- For which notices an entry of the list of suppressions holds: for all, or for all but urgent ones. An entry whose address_key
-- is '*@' and a domain is for every mailbox at that domain.
ALTER TABLE suppression ADD COLUMN scope text NOT NULL DEFAULT 'all' CHECK (scope IN ('all', 'not_urgent'));

-- Whether a notice goes before others, and to mailboxes whose scope is not_urgent: as notice.Body.Urgent has it.
CREATE FUNCTION urgent(body jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT body->>'kind' IS NOT DISTINCT FROM 'outage' AND body->>'phase' IS DISTINCT FROM 'postmortem'
        OR body->>'severity' IS NOT DISTINCT FROM 'critical'
$$;

-- Why a delivery was stopped.
CREATE OR REPLACE FUNCTION stop_reason(notice_id bigint, plan_id bigint, seq integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.address_key LIKE 'erased:%' THEN 'erased'
        WHEN n.state = 'cancelled' THEN n.reason
        WHEN EXISTS (SELECT FROM suppression s WHERE s.address_key IN (r.address_key, '*@' || split_part(r.address_key, '@', -1))
            AND (s.scope = 'all' OR NOT urgent(n.body))) THEN 'suppression_list'
        ELSE 'superseded' END
    FROM notice n, recipient r WHERE n.id = $1 AND r.plan_id = $2 AND r.seq = $3
$$;
