-- Channels of every provider, with how calls find them, what they change about requests, and groups of users.
ALTER TABLE relay_v1.channels
    -- Which providers there are is the code's to say.
    DROP CONSTRAINT channels_provider_check,
    -- {priority, weight, groups, limits, drain}
    ADD COLUMN routing   jsonb  NOT NULL DEFAULT '{"priority": 0, "weight": 1}',
    -- {parameters, headers, proxy}: what may be secret is encrypted under the master secret.
    ADD COLUMN overrides jsonb  NOT NULL DEFAULT '{}',
    ADD COLUMN tags      text[] NOT NULL DEFAULT '{}',
    ADD COLUMN note      text   NOT NULL DEFAULT '';

CREATE TABLE relay_v1.groups (
    id         uuid PRIMARY KEY,
    name       text   NOT NULL,
    title      text   NOT NULL,
    -- What its users pay of every price, as an exact decimal.
    factor     text   NOT NULL,
    -- The last event of this group that this row contains.
    sequence   bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
-- Whoever pays is looked up by the name of a group.
CREATE UNIQUE INDEX groups_by_name ON relay_v1.groups (name);

-- The group that an account is in, by name.
ALTER TABLE users_v1.users ADD COLUMN user_group text NOT NULL DEFAULT 'default';
