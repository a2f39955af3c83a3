-- Data keys of users, wrapped by the master key. Their own schema: backed up separately and briefly.
CREATE SCHEMA vault;
CREATE TABLE vault.data_keys (
    subject      uuid PRIMARY KEY,
    -- Null once destroyed: the row remains so that no new key is made for an erased person.
    wrapped_key  bytea,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    CHECK ((wrapped_key IS NULL) = (destroyed_at IS NOT NULL))
);
-- Proves that a node holds the same master secret as the one that wrote the keys.
CREATE TABLE vault.master_check (
    id          int   PRIMARY KEY CHECK (id = 1),
    check_value bytea NOT NULL
);
