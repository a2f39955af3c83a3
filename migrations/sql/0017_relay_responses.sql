-- Responses of the Responses API that are kept. Written by `projections/src/relay` alone.
CREATE TABLE relay_v1.responses (
    id         uuid PRIMARY KEY,
    owner      uuid NOT NULL,
    -- The response that it continues; may be deleted.
    previous   uuid,
    status     text NOT NULL CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled')),
    -- Its own input, a JSON list of items. Empty once the owner was erased.
    input      text NOT NULL,
    -- The newest object, as JSON. Empty once the owner was erased.
    response   text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at   timestamptz
);
