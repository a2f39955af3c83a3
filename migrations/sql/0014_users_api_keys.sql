-- Keys of the API, and what operators search accounts by. Written by `projections/src/users` alone.
CREATE TABLE users_v1.api_keys (
    id         uuid PRIMARY KEY,
    owner      uuid   NOT NULL,
    -- Empty once the owner was erased.
    name       text   NOT NULL,
    -- Hex of SHA-256 over the key.
    key_hash   text   NOT NULL,
    hint       text   NOT NULL,
    scopes     text[] NOT NULL,
    -- Null: any model.
    models     text[],
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
-- Pages of a user's keys, newest first.
CREATE INDEX api_keys_of_owner ON users_v1.api_keys (owner, created_at DESC, id DESC);

-- All accounts, newest first, and those whose address or name begins with what was typed.
CREATE INDEX users_by_age ON users_v1.users (created_at DESC, id DESC);
CREATE INDEX users_by_email ON users_v1.users (lower(email) text_pattern_ops);
CREATE INDEX users_by_username ON users_v1.users (lower(username) text_pattern_ops);
