-- Conversations and their messages, generation 1. Written by `projections/src/chat` alone.
CREATE SCHEMA chat_v1;

CREATE TABLE chat_v1.sessions (
    id            uuid PRIMARY KEY,
    owner         uuid   NOT NULL,
    title         text,
    preview       text   NOT NULL DEFAULT '',
    message_count int    NOT NULL DEFAULT 0,
    -- The last event of this session that these rows contain: an event is applied here exactly once.
    sequence      bigint NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    deleted       boolean GENERATED ALWAYS AS (deleted_at IS NOT NULL) STORED
);
-- Pages of a user's list, or of their bin, last active first.
CREATE INDEX sessions_of_owner ON chat_v1.sessions (owner, deleted, updated_at DESC, id DESC);

-- A run is one reply being generated, so it is a column group of its answer and no table.
CREATE TABLE chat_v1.messages (
    id            uuid PRIMARY KEY,
    session_id    uuid   NOT NULL,
    owner         uuid   NOT NULL,
    parent_id     uuid,
    -- Siblings share it: the parent, or the session at the root. (An index serves `=`, not `IS NOT DISTINCT FROM`.)
    parent_key    uuid   NOT NULL GENERATED ALWAYS AS (coalesce(parent_id, session_id)) STORED,
    -- Of the event that made it: the order of creation, whatever clocks say.
    sequence      bigint NOT NULL,
    role          text   NOT NULL CHECK (role IN ('user', 'assistant')),
    content       text   NOT NULL,
    status        text   NOT NULL CHECK (status IN ('complete', 'pending', 'streaming', 'stopped', 'failed')),
    model         text,
    run_id        uuid,
    attempt       int,
    finish_reason text CHECK (finish_reason IN ('stop', 'length', 'stopped', 'error')),
    error_code    text,
    error_message text,
    input_tokens  bigint,
    output_tokens bigint,
    usage_basis   text,
    created_at    timestamptz NOT NULL,
    completed_at  timestamptz,
    CHECK ((role = 'assistant') = (run_id IS NOT NULL))
);
-- All messages of a session by creation, forwards and backwards; the newest leaf is its last entry.
CREATE UNIQUE INDEX messages_of_session ON chat_v1.messages (session_id, sequence);
-- Answers to a question, questions after an answer, siblings.
CREATE INDEX messages_of_parent ON chat_v1.messages (parent_key, sequence);
CREATE UNIQUE INDEX messages_of_run ON chat_v1.messages (run_id) WHERE run_id IS NOT NULL;
-- Few at any time: what is being generated now, for a session and for all tabs of a user.
CREATE INDEX messages_open_of_session ON chat_v1.messages (session_id, sequence) WHERE status IN ('pending', 'streaming');
CREATE INDEX messages_open_of_owner ON chat_v1.messages (owner) WHERE status IN ('pending', 'streaming');
