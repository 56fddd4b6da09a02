-- +goose Up

-- Accounts that notices may concern. Empty text is absent.
CREATE TABLE customer (
    id                  text COLLATE "C" PRIMARY KEY CHECK (id <> ''),
    name                text NOT NULL DEFAULT '',
    email               text NOT NULL DEFAULT '',
    email_key           text COLLATE "C" NOT NULL DEFAULT '',
    alternate_email     text NOT NULL DEFAULT '',
    alternate_email_key text COLLATE "C" NOT NULL DEFAULT '',
    language            text COLLATE "C" NOT NULL DEFAULT '',
    time_zone           text COLLATE "C" NOT NULL DEFAULT '',
    attributes          jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((email = '') = (email_key = '')),
    CHECK ((alternate_email = '') = (alternate_email_key = ''))
);
CREATE INDEX customer_email_key ON customer (email_key) WHERE email_key <> '';
CREATE INDEX customer_alternate_email_key ON customer (alternate_email_key) WHERE alternate_email_key <> '';

CREATE TABLE incident (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        text COLLATE "C" NOT NULL UNIQUE,
    kind       text NOT NULL CHECK (kind IN ('outage', 'maintenance', 'advisory')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE notice (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key               text COLLATE "C" NOT NULL UNIQUE,
    incident_id       bigint NOT NULL REFERENCES incident,
    state             text NOT NULL DEFAULT 'draft'
                      CHECK (state IN ('draft', 'scheduled', 'sending', 'paused', 'held', 'sent', 'cancelled')),
    reason            text NOT NULL DEFAULT '',      -- why cancelled or held
    body              jsonb NOT NULL,                -- as given, normalised: what a second press is compared with
    texts             jsonb NOT NULL,                -- per language, the template's where the body has none
    filter            text NOT NULL DEFAULT '',      -- the audience in its parenthesised form
    message_token     text NOT NULL,                 -- Message-ID is <token.seq@message_domain>, for ever
    message_domain    text NOT NULL DEFAULT '',
    send_at           timestamptz,
    expires_at        timestamptz,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by        text NOT NULL DEFAULT '',
    released_at       timestamptz,
    released_by       text NOT NULL DEFAULT '',
    customers         integer NOT NULL DEFAULT 0,    -- members of the audience
    recipients        integer NOT NULL DEFAULT 0,    -- rows frozen in recipient
    expanded          integer NOT NULL DEFAULT 0,    -- recipients below this seq have their delivery
    by_language       jsonb NOT NULL DEFAULT '{}',   -- recipients to be mailed, per language of the mail
    suppressed        jsonb NOT NULL DEFAULT '{}',   -- recipients not to be mailed, per reason
    CHECK ((state = 'draft') = (released_at IS NULL)),
    CHECK (expanded <= recipients)
);
CREATE INDEX notice_incident ON notice (incident_id);
CREATE INDEX notice_unfinished ON notice (id) WHERE state NOT IN ('draft', 'sent', 'cancelled') OR expanded < recipients;

-- Who did what to a notice, and when: the operators' log.
CREATE TABLE act (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice_id bigint NOT NULL REFERENCES notice,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    who       text NOT NULL,
    what      text NOT NULL,
    detail    text NOT NULL DEFAULT ''
);
CREATE INDEX act_notice ON act (notice_id);

-- One mailbox of a released notice, frozen in the snapshot of the release: what the mail is made of.
-- It is written once; what changes while sending stands in delivery, which stays narrow for that.
CREATE TABLE recipient (
    notice_id   bigint NOT NULL REFERENCES notice,
    seq         integer NOT NULL CHECK (seq >= 0),
    address_key text COLLATE "C",                    -- none: no usable mailbox
    address     text NOT NULL,
    role        text NOT NULL CHECK (role IN ('primary', 'alternate')),
    reason      text NOT NULL DEFAULT '',            -- why suppressed
    text        text COLLATE "C" NOT NULL,           -- the language of the mail, one of the notice's texts
    language    text COLLATE "C" NOT NULL,           -- the language that its customers want
    time_zone   text COLLATE "C" NOT NULL,
    in_reply_to text NOT NULL DEFAULT '',            -- Message-ID of the incident's first mail to this mailbox
    customers   jsonb NOT NULL,                      -- [{id, name, attributes}] by id
    PRIMARY KEY (notice_id, seq),
    CHECK ((reason <> '') = (address_key IS NULL) OR reason = 'suppression_list')
);

-- Which row of a notice a customer stands on: exactly one.
CREATE TABLE member (
    customer_id text COLLATE "C" NOT NULL,
    notice_id   bigint NOT NULL,
    seq         integer NOT NULL,
    PRIMARY KEY (customer_id, notice_id)
);

-- A run of deliveries that one queue task covers: the lease, and when it is next due.
CREATE TABLE chunk (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice_id     bigint NOT NULL REFERENCES notice,
    lo            integer NOT NULL,                  -- seq, inclusive
    hi            integer NOT NULL,                  -- seq, exclusive
    epoch         bigint NOT NULL DEFAULT 0,
    holder        text NOT NULL DEFAULT '',
    lease_until   timestamptz,
    open          boolean NOT NULL,
    due_at        timestamptz NOT NULL,
    counts        integer[] NOT NULL,                -- per state; exact while there is no lease
    first_sent_at timestamptz,
    last_sent_at  timestamptz,
    CHECK (lo < hi),
    CHECK (array_length(counts, 1) = 9),
    UNIQUE (notice_id, lo)
) WITH (fillfactor = 50);
CREATE INDEX chunk_due ON chunk (due_at) WHERE open;

-- The ledger: one row is the obligation to send one notice to one mailbox. Every key begins with the notice,
-- so that the table can be partitioned by it. No index on what changes: updates stay HOT.
-- States: 0 queued, 1 sending, 2 sent, 3 deferred, 4 failed, 5 uncertain, 6 suppressed, 7 cancelled, 8 bounced.
CREATE TABLE delivery (
    notice_id   bigint NOT NULL,
    seq         integer NOT NULL,
    address_key text COLLATE "C",
    state       smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 8),
    tries       smallint NOT NULL DEFAULT 0,
    code        smallint NOT NULL DEFAULT 0,         -- SMTP reply code that settled the last attempt
    epoch       bigint NOT NULL DEFAULT 0,           -- of the last attempt
    unresolved  bigint NOT NULL DEFAULT 0,           -- epoch of an attempt requeued while unknown; -1: of several
    dot_by      timestamptz,                         -- the last attempt's dot was written before this, if ever
    owed_at     timestamptz NOT NULL,                -- since when it is owed
    due_at      timestamptz NOT NULL,
    at          timestamptz NOT NULL,                -- of the last change
    sent_at     timestamptz,
    reason      text NOT NULL DEFAULT '',
    relay       text NOT NULL DEFAULT '',
    enhanced    text NOT NULL DEFAULT '',            -- RFC 3463
    reply       text NOT NULL DEFAULT '',
    PRIMARY KEY (notice_id, seq),
    UNIQUE (notice_id, address_key),
    CHECK (state <> 0 OR address_key IS NOT NULL)
) WITH (fillfactor = 35);
