-- Data keys of users, wrapped by the master key. Their own schema: backed up separately and briefly.
CREATE SCHEMA vault;
CREATE TABLE vault.data_keys (
    subject     uuid   NOT NULL,
    key_id      int    NOT NULL,
    wrapped_key bytea  NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject, key_id)
);
-- Proves that a node holds the same master secret as the one that wrote the keys.
CREATE TABLE vault.master_check (
    id    int PRIMARY KEY CHECK (id = 1),
    check_value bytea NOT NULL
);
