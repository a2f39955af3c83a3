-- Accounts, their names and the devices signed in to them, generation 1. Written by `projections/src/users` alone.
-- Each table follows one kind of aggregate, so that no row needs the events of two.
CREATE SCHEMA users_v1;

-- `email`, `username` and `password_hash` are empty once the account's key was destroyed.
CREATE TABLE users_v1.users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL,
    username      text NOT NULL,
    password_hash text NOT NULL,
    role          text NOT NULL CHECK (role IN ('user', 'admin')),
    created_at    timestamptz NOT NULL
);

-- Who holds which name; the key is the keyed hash that is also the id of the name's reservation.
CREATE TABLE users_v1.names (
    name_hash text NOT NULL PRIMARY KEY,
    kind      text NOT NULL CHECK (kind IN ('email', 'username')),
    user_id   uuid NOT NULL
);

CREATE TABLE users_v1.devices (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL,
    signed_in_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text CHECK (end_reason IN ('signed_out', 'reuse_detected')),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
-- The devices of an account, and nothing else, are ever listed.
CREATE INDEX devices_of_user ON users_v1.devices (user_id, last_seen_at DESC);
