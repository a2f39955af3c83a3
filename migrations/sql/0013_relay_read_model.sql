-- Channels to model providers, generation 1. Written by `projections/src/relay` alone.
CREATE SCHEMA relay_v1;

CREATE TABLE relay_v1.channels (
    id         uuid PRIMARY KEY,
    name       text    NOT NULL,
    provider   text    NOT NULL CHECK (provider IN ('openai', 'local')),
    base_url   text,
    -- [{hint, sealed}]: encrypted under the master secret.
    keys       jsonb   NOT NULL DEFAULT '[]',
    -- As offered, with prices and costs, in the operator's order.
    models     jsonb   NOT NULL DEFAULT '[]',
    enabled    boolean NOT NULL DEFAULT false,
    -- A removed channel stays as an empty row: its sequence keeps the version of all channels growing.
    removed    boolean NOT NULL DEFAULT false,
    -- The last event of this channel that this row contains: an event is applied here exactly once.
    sequence   bigint  NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
