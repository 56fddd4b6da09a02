-- +goose Up

-- The scopes of a reader's own choice: advisories, and post-mortems of every kind. An entry that the reader of a mail made stands
-- apart from those of operators, bounces and files: the reader takes it back, and can't touch the others.
ALTER TABLE suppression ADD COLUMN by_reader boolean NOT NULL DEFAULT false;
ALTER TABLE suppression DROP CONSTRAINT suppression_scope_check, DROP CONSTRAINT suppression_address_key_key,
    ADD CONSTRAINT suppression_scope_check CHECK (scope IN ('all', 'not_urgent', 'advisory', 'postmortem')),
    ADD CONSTRAINT suppression_entry UNIQUE (address_key, scope, by_reader);

-- The scopes whose entries keep a notice from their mailboxes: as notice.Body.Scopes has them.
CREATE FUNCTION scopes(body jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_remove(ARRAY['all', CASE WHEN NOT urgent(body) THEN 'not_urgent' END,
        CASE WHEN body->>'phase' = 'postmortem' THEN 'postmortem' WHEN body->>'kind' = 'advisory' THEN 'advisory' END], NULL)
$$;

-- Why a delivery was stopped.
CREATE OR REPLACE FUNCTION stop_reason(notice_id bigint, plan_id bigint, seq integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.address_key LIKE 'erased:%' THEN 'erased'
        WHEN n.state = 'cancelled' THEN n.reason
        WHEN EXISTS (SELECT FROM suppression s WHERE s.address_key IN (r.address_key, '*@' || split_part(r.address_key, '@', -1))
            AND s.scope = ANY (scopes(n.body))) THEN 'suppression_list'
        ELSE 'superseded' END
    FROM notice n, recipient r WHERE n.id = $1 AND r.plan_id = $2 AND r.seq = $3
$$;
