-- Calls of models as they went, and what they add up to by the hour, generation 1. Written by
-- `projections/src/relay/statistics` alone.
CREATE SCHEMA statistics_v1;

-- What all calls of one hour add up to that have channel, model, account and key in common. Requests count in the hour in
-- which they ended, money and tokens in the hour in which they were settled.
CREATE TABLE statistics_v1.hours (
    -- Made from the five that follow.
    slot                uuid PRIMARY KEY,
    -- Its beginning.
    hour                timestamptz NOT NULL,
    -- Who answered, or was asked last. Null where nobody was.
    channel_id          uuid,
    -- As users name it. Null where nobody offers what was asked for.
    model               text,
    user_id             uuid   NOT NULL,
    -- Null: in a conversation, or with an access token.
    api_key_id          uuid,
    requests            bigint NOT NULL DEFAULT 0,
    completed           bigint NOT NULL DEFAULT 0,
    cancelled           bigint NOT NULL DEFAULT 0,
    failed              bigint NOT NULL DEFAULT 0,
    refused             bigint NOT NULL DEFAULT 0,
    -- Times that the channel was asked for the model, whatever came of the request.
    tries               bigint NOT NULL DEFAULT 0,
    failed_tries        bigint NOT NULL DEFAULT 0,
    -- Tries of which nobody knows what they have cost.
    unknown_cost_tries  bigint NOT NULL DEFAULT 0,
    input_tokens        bigint NOT NULL DEFAULT 0,
    cached_input_tokens bigint NOT NULL DEFAULT 0,
    cache_write_tokens  bigint NOT NULL DEFAULT 0,
    audio_input_tokens  bigint NOT NULL DEFAULT 0,
    image_input_tokens  bigint NOT NULL DEFAULT 0,
    output_tokens       bigint NOT NULL DEFAULT 0,
    reasoning_tokens    bigint NOT NULL DEFAULT 0,
    audio_output_tokens bigint NOT NULL DEFAULT 0,
    image_output_tokens bigint NOT NULL DEFAULT 0,
    -- Nano-units (1e-9) of the ledger currency.
    charged_nanos       bigint NOT NULL DEFAULT 0,
    cost_nanos          bigint NOT NULL DEFAULT 0,
    lost_cost_nanos     bigint NOT NULL DEFAULT 0
);
CREATE INDEX hours_of_all ON statistics_v1.hours (hour);
CREATE INDEX hours_of_user ON statistics_v1.hours (user_id, hour);

-- Why requests and tries of an hour did not succeed.
CREATE TABLE statistics_v1.errors (
    slot  uuid   NOT NULL,
    -- `request` or `try`.
    kind  text   NOT NULL CHECK (kind IN ('request', 'try')),
    code  text   NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (slot, kind, code)
);

-- How long the requests of an hour took: logarithmic buckets that can be added up over any hours.
CREATE TABLE statistics_v1.latencies (
    slot    uuid     NOT NULL,
    -- `duration` or `first_output`.
    measure text     NOT NULL CHECK (measure IN ('duration', 'first_output')),
    -- See `projections/src/relay/statistics/histogram.rs`.
    bucket  smallint NOT NULL,
    count   bigint   NOT NULL,
    PRIMARY KEY (slot, measure, bucket)
);

-- The newest event of each wallet that is contained in the sums.
CREATE TABLE statistics_v1.wallets (
    owner    uuid PRIMARY KEY,
    sequence bigint NOT NULL
);

-- The last calls, one by one. Older ones than `OBLIVIOUS_CALL_DAYS` are forgotten.
CREATE TABLE statistics_v1.calls (
    id              uuid PRIMARY KEY,
    position        bigint NOT NULL,
    recorded_at     timestamptz NOT NULL,
    user_id         uuid NOT NULL,
    session_id      uuid,
    run_id          uuid,
    api_key_id      uuid,
    hold_id         uuid,
    surface         text NOT NULL,
    model           text,
    answered_model  text,
    upstream_model  text,
    -- Who answered, or was asked last.
    channel_id      uuid,
    stream          boolean NOT NULL,
    started_at      timestamptz NOT NULL,
    ended_at        timestamptz NOT NULL,
    duration_ms     bigint NOT NULL,
    first_output_ms bigint,
    outcome         text NOT NULL CHECK (outcome IN ('completed', 'cancelled', 'failed', 'refused')),
    code            text,
    -- Lists of {channel_id, model, key, hedge, outcome, duration_ms, spent} and of {channel, reason}.
    tries           jsonb NOT NULL,
    left_out        jsonb NOT NULL,
    -- {input, output, …}
    tokens          jsonb,
    basis           text
);
-- Pages of the list, newest first.
CREATE INDEX calls_by_time ON statistics_v1.calls (ended_at DESC, id DESC);
CREATE INDEX calls_of_user ON statistics_v1.calls (user_id, ended_at DESC, id DESC);
CREATE INDEX calls_of_channel ON statistics_v1.calls (channel_id, ended_at DESC, id DESC);
-- What is to be forgotten.
CREATE INDEX calls_by_record ON statistics_v1.calls (recorded_at);

-- What a call cost.
CREATE INDEX charges_of_hold ON billing_v1.charges (hold_id);
