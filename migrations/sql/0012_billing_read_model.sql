-- Wallets, open holds, settlements and the double-entry ledger, generation 1. Written by `projections/src/billing` alone.
-- Amounts are nano-units (1e-9) of the ledger currency.
CREATE SCHEMA billing_v1;

CREATE TABLE billing_v1.wallets (
    -- The wallet's id is its owner's.
    owner         uuid PRIMARY KEY,
    -- Of the first movement; a wallet that only ever paid for free calls has none, and no money.
    currency      text,
    granted_nanos bigint NOT NULL DEFAULT 0 CHECK (granted_nanos >= 0),
    paid_nanos    bigint NOT NULL DEFAULT 0 CHECK (paid_nanos >= 0),
    debt_nanos    bigint NOT NULL DEFAULT 0 CHECK (debt_nanos >= 0),
    held_nanos    bigint NOT NULL DEFAULT 0 CHECK (held_nanos >= 0),
    -- The last event of this wallet that these rows contain: an event is applied here exactly once.
    sequence      bigint NOT NULL
);

-- What is set apart for calls under way.
CREATE TABLE billing_v1.holds (
    owner             uuid   NOT NULL,
    hold_id           uuid   NOT NULL,
    position          bigint NOT NULL,
    kind              text   NOT NULL CHECK (kind IN ('reply', 'api')),
    amount_nanos      bigint NOT NULL CHECK (amount_nanos >= 0),
    model             text   NOT NULL,
    channel_id        uuid   NOT NULL,
    price_version     bigint NOT NULL,
    prices            jsonb  NOT NULL,
    costs             jsonb  NOT NULL,
    input_tokens      bigint NOT NULL,
    max_output_tokens bigint NOT NULL,
    session_id        uuid,
    run_id            uuid,
    api_key_id        uuid,
    expires_at        timestamptz NOT NULL,
    held_at           timestamptz NOT NULL,
    PRIMARY KEY (owner, hold_id)
);

-- Settlements. Each is the event at its position; wallets remember the ids of ended holds for a while only.
CREATE TABLE billing_v1.charges (
    position            bigint PRIMARY KEY,
    owner               uuid   NOT NULL,
    hold_id             uuid   NOT NULL,
    kind                text   NOT NULL CHECK (kind IN ('reply', 'api')),
    model               text   NOT NULL,
    channel_id          uuid   NOT NULL,
    -- Every token is in exactly one tier.
    input_tokens        bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    output_tokens       bigint NOT NULL,
    reasoning_tokens    bigint NOT NULL,
    basis               text   NOT NULL CHECK (basis IN ('reported', 'counted', 'estimated')),
    price_version       bigint NOT NULL,
    prices              jsonb  NOT NULL,
    costs               jsonb  NOT NULL,
    charged_nanos       bigint NOT NULL CHECK (charged_nanos >= 0),
    cost_nanos          bigint NOT NULL CHECK (cost_nanos >= 0),
    lost_cost_nanos     bigint NOT NULL CHECK (lost_cost_nanos >= 0),
    session_id          uuid,
    run_id              uuid,
    api_key_id          uuid,
    at                  timestamptz NOT NULL
);
-- Pages of a user's list, newest first.
CREATE INDEX charges_of_owner ON billing_v1.charges (owner, position DESC);
-- Statements of a period.
CREATE INDEX charges_of_period ON billing_v1.charges (owner, at);
-- What an answer cost.
CREATE INDEX charges_of_run ON billing_v1.charges (run_id) WHERE run_id IS NOT NULL;
-- When a key was last used.
CREATE INDEX charges_of_api_key ON billing_v1.charges (api_key_id, at DESC) WHERE api_key_id IS NOT NULL;

CREATE TABLE billing_v1.ledger_entries (
    position     bigint NOT NULL,
    line         int    NOT NULL,
    owner        uuid   NOT NULL,
    account      text   NOT NULL CHECK (account IN
        ('granted', 'paid', 'debt', 'reserved', 'holds', 'revenue', 'promotions', 'payments', 'adjustments',
         'upstream_cost', 'upstream_payable')),
    amount_nanos bigint NOT NULL CHECK (amount_nanos <> 0),
    kind         text   NOT NULL CHECK (kind IN
        ('grant', 'top_up', 'hold', 'charge', 'release', 'expiry', 'adjustment')),
    hold_id      uuid,
    model        text,
    -- Null too where the note's owner was erased.
    reason       text,
    at           timestamptz NOT NULL,
    PRIMARY KEY (position, line)
);
-- Pages of a user's list, newest first.
CREATE INDEX ledger_entries_of_owner ON billing_v1.ledger_entries (owner, position DESC, line);
-- Statements of a period.
CREATE INDEX ledger_entries_of_period ON billing_v1.ledger_entries (owner, at);

-- All lines of a position are written by one statement, so the database itself refuses any that do not sum to zero.
CREATE FUNCTION billing_v1.refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unbalanced bigint;
BEGIN
    SELECT position INTO unbalanced FROM written GROUP BY position HAVING sum(amount_nanos) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the ledger lines of position % do not sum to zero', unbalanced USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_entries_balance AFTER INSERT ON billing_v1.ledger_entries
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION billing_v1.refuse_unbalanced();
