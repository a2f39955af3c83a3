-- The log of facts. Columns up to `metadata` are those of postgres-es, whose stock store can read and append here.
CREATE TABLE events (
    aggregate_type text    NOT NULL,
    aggregate_id   text    NOT NULL,
    sequence       bigint  NOT NULL CHECK (sequence >= 0),
    event_type     text    NOT NULL,
    event_version  text    NOT NULL,
    payload        json    NOT NULL,
    metadata       json    NOT NULL,
    ins            bigint  GENERATED ALWAYS AS IDENTITY (CACHE 1) NOT NULL,
    xid            xid8    NOT NULL DEFAULT pg_current_xact_id(),
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    tenant         text    NOT NULL DEFAULT 'default',
    command_id     text    GENERATED ALWAYS AS (metadata ->> 'command_id') STORED,
    CONSTRAINT events_pkey PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
-- The sequencer asks for what no earlier snapshot has seen.
CREATE INDEX events_xid ON events (xid);

-- The dense order of all events: writers take no lock, the sequencer appends here afterwards.
CREATE TABLE event_log (
    position       bigint PRIMARY KEY,
    aggregate_type text   NOT NULL,
    aggregate_id   text   NOT NULL,
    sequence       bigint NOT NULL,
    UNIQUE (aggregate_type, aggregate_id, sequence)
);
-- The publisher looks up the previous position of the same capability (header `prev`).
CREATE INDEX event_log_by_type ON event_log (aggregate_type, position);

CREATE TABLE sequencer (
    id   int PRIMARY KEY CHECK (id = 1),
    snap pg_snapshot NOT NULL,
    last bigint NOT NULL
);
INSERT INTO sequencer (id, snap, last) VALUES (1, '1:1:', 0);

-- Publication epochs: a restored database continues only in a new epoch, above every position ever published.
CREATE TABLE publication_epochs (
    epoch             bigint PRIMARY KEY,
    first_position    bigint NOT NULL,
    system_identifier text   NOT NULL,
    timeline          bigint NOT NULL,
    reason            text   NOT NULL,
    opened_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What each command came to: written with its events, so that a redelivered command answers the same.
CREATE TABLE command_outcomes (
    tenant       text  NOT NULL,
    command_id   uuid  NOT NULL,
    actor        text  NOT NULL,
    request_hash bytea NOT NULL,
    outcome      jsonb NOT NULL,
    decided_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, command_id)
);
CREATE INDEX command_outcomes_age ON command_outcomes (decided_at);

-- Commands that failed for good; the sealed message can be sent again.
CREATE TABLE dead_letters (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command_id  uuid   NOT NULL,
    subject     text   NOT NULL,
    headers     jsonb  NOT NULL,
    sealed_body bytea  NOT NULL,
    error       text   NOT NULL,
    attempts    int    NOT NULL,
    died_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    retried_at  timestamptz
);

-- How far each projection and reactor has come.
CREATE TABLE checkpoints (
    name       text PRIMARY KEY,
    epoch      bigint NOT NULL DEFAULT 1,
    position   bigint NOT NULL DEFAULT 0,
    last_error text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Aggregates whose event a projection could not apply: their later events wait here, all others flow on.
CREATE TABLE parked_keys (
    projection     text   NOT NULL,
    aggregate_type text   NOT NULL,
    aggregate_id   text   NOT NULL,
    first_position bigint NOT NULL,
    error          text   NOT NULL,
    attempts       int    NOT NULL DEFAULT 1,
    next_retry_at  timestamptz NOT NULL,
    parked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (projection, aggregate_type, aggregate_id)
);

-- Work to be done once: replies, timers, retries.
CREATE TABLE jobs (
    id               uuid PRIMARY KEY,
    kind             text   NOT NULL,
    reactor          text   NOT NULL,
    position         bigint NOT NULL,
    key              text   NOT NULL,
    payload          jsonb  NOT NULL,
    state            text   NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'dead')),
    attempt          int    NOT NULL DEFAULT 0,
    run_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until     timestamptz,
    leased_by        text,
    cancel_requested boolean NOT NULL DEFAULT false,
    last_error       text,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at      timestamptz,
    UNIQUE (reactor, position)
);
CREATE INDEX jobs_due ON jobs (run_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_key ON jobs (kind, key);
