-- +goose Up

-- Receivers that are told of changes of notices, as the settings of serve name them; their URLs and secrets stand there alone.
CREATE TABLE webhook (
    name     text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    events   text[] NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp() -- when a serve last had it in its settings
);

-- A change that a receiver is told: keys and counts, so that an erasure has nothing to change here.
CREATE TABLE webhook_message (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook      text COLLATE "C" NOT NULL REFERENCES webhook ON DELETE CASCADE,
    event_id     uuid NOT NULL,                      -- the same for all receivers, and at each try
    event        text NOT NULL,
    data         jsonb NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    since        timestamptz NOT NULL DEFAULT clock_timestamp(), -- tried from then on
    tries        integer NOT NULL DEFAULT 0,
    due_at       timestamptz DEFAULT clock_timestamp(), -- none: it was delivered, or given up
    status       integer NOT NULL DEFAULT 0,         -- the last answer; 0: none was heard
    fault        text NOT NULL DEFAULT '',           -- why the last try failed
    delivered_at timestamptz,
    given_up_at  timestamptz,
    UNIQUE (event_id, webhook),
    CHECK (num_nonnulls(due_at, delivered_at, given_up_at) = 1)
);
CREATE INDEX webhook_message_due ON webhook_message (webhook, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_message_done ON webhook_message (at) WHERE due_at IS NULL;

-- The transaction that changes the state of a notice writes the messages about it, whichever statement changes it.
-- +goose StatementBegin
CREATE FUNCTION tell_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    names  text[] := ARRAY['queued', 'sending', 'sent', 'deferred', 'failed', 'uncertain', 'suppressed', 'cancelled', 'bounced'];
    counts jsonb;
    facts  jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM webhook) THEN
        RETURN NULL;
    END IF;
    IF NEW.state = 'sent' THEN -- no chunk is open: their counts are exact
        SELECT jsonb_object_agg(names[place], n) INTO counts FROM (
            SELECT place, sum(k) AS n FROM chunk CROSS JOIN LATERAL unnest(chunk.counts) WITH ORDINALITY u(k, place)
            WHERE notice_id = NEW.id GROUP BY place) c;
    END IF;
    facts := jsonb_strip_nulls(jsonb_build_object('number', NEW.id, 'key', NEW.key,
        'incident', (SELECT key FROM incident WHERE id = NEW.incident_id), 'kind', (SELECT kind FROM incident WHERE id = NEW.incident_id),
        'phase', NEW.body->>'phase', 'severity', NEW.body->>'severity', 'state', NEW.state,
        'reason', CASE WHEN NEW.state NOT IN ('held', 'cancelled') OR NEW.reason = '' THEN NULL
            WHEN NEW.brake IS NOT NULL THEN rtrim('refused: ' || coalesce(NEW.brake->>'code', '') || ' ' || coalesce(NEW.brake->>'enhanced', ''))
            ELSE NEW.reason END,
        'held_until', CASE WHEN NEW.held_until < '9999-01-01' THEN to_jsonb(NEW.held_until) END,
        'customers', NEW.customers, 'recipients', NEW.recipients, 'counts', counts));
    INSERT INTO webhook_message (webhook, event_id, event, data)
        SELECT w.name, e.id, e.event, facts FROM (
            SELECT gen_random_uuid() AS id, event, place FROM unnest(ARRAY[
                CASE WHEN OLD.state = 'draft' THEN 'released' END,
                CASE NEW.state
                    WHEN 'draft' THEN 'taken_back'
                    WHEN 'scheduled' THEN CASE WHEN OLD.state IN ('paused', 'held') THEN 'resumed' END
                    WHEN 'sending' THEN CASE OLD.state WHEN 'scheduled' THEN 'started' WHEN 'sent' THEN 'reopened' WHEN 'draft' THEN NULL ELSE 'resumed' END
                    WHEN 'paused' THEN 'paused'
                    WHEN 'held' THEN CASE WHEN NEW.brake IS NULL THEN 'held' ELSE 'brake' END
                    WHEN 'sent' THEN 'finished'
                    WHEN 'cancelled' THEN 'cancelled' END,
                CASE WHEN (counts->>'uncertain')::integer > 0 THEN 'uncertain' END]) WITH ORDINALITY c(event, place)
            WHERE event IS NOT NULL OFFSET 0) e
        JOIN webhook w ON e.event = ANY (w.events) ORDER BY e.place, w.name;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER notice_tells AFTER UPDATE OF state ON notice FOR EACH ROW
    WHEN ((OLD.state, OLD.reason) IS DISTINCT FROM (NEW.state, NEW.reason)) EXECUTE FUNCTION tell_webhooks();
