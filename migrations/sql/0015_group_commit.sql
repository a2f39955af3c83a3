-- One transaction and one round trip for a group of commands: all of it or nothing.
--
-- Outcomes first, then events, each sorted by key: two groups that overlap wait for each other in one order and never
-- for ever. Refusals that the caller tells apart by SQLSTATE:
--   OB001  a command of the group has an outcome already (a concurrent one was waited for)
--   OB002  a stream of the group has moved on from the base that the group was decided on, or never had it
-- Two writers that both saw the same base are told apart by the primary key of `events` (23505).
CREATE FUNCTION commit_group(
    outcome_tenants text[], outcome_ids uuid[], outcome_actors text[], outcome_hashes bytea[], outcome_bodies jsonb[],
    stream_types text[], stream_ids text[], stream_bases bigint[],
    event_aggregates text[], event_aggregate_ids text[], event_sequences bigint[],
    event_types text[], event_versions text[], event_payloads text[], event_metadata text[]
) RETURNS void LANGUAGE plpgsql
    -- Every look-up here is by primary key. A plan made while the tables were small must not scan them when they are big.
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
AS $$
DECLARE
    recorded bigint;
BEGIN
    INSERT INTO command_outcomes (tenant, command_id, actor, request_hash, outcome)
    SELECT o.tenant, o.command_id, o.actor, o.request_hash, o.body
    FROM unnest(outcome_tenants, outcome_ids, outcome_actors, outcome_hashes, outcome_bodies)
         AS o (tenant, command_id, actor, request_hash, body)
    ORDER BY o.tenant, o.command_id
    ON CONFLICT (tenant, command_id) DO NOTHING;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    IF recorded <> cardinality(outcome_ids) THEN
        RAISE EXCEPTION 'a command of the group has an outcome already' USING ERRCODE = 'OB001';
    END IF;

    -- Also for streams that get no event: a refusal or a no-op was decided on them.
    IF EXISTS (
        SELECT FROM unnest(stream_types, stream_ids, stream_bases) AS s (aggregate_type, aggregate_id, base)
        WHERE s.base <> coalesce((SELECT max(e.sequence) FROM events e
                                  WHERE e.aggregate_type = s.aggregate_type AND e.aggregate_id = s.aggregate_id), 0)
    ) THEN
        RAISE EXCEPTION 'a stream of the group has moved on' USING ERRCODE = 'OB002';
    END IF;

    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
    SELECT n.aggregate_type, n.aggregate_id, n.sequence, n.event_type, n.event_version, n.payload::json, n.metadata::json
    FROM unnest(event_aggregates, event_aggregate_ids, event_sequences, event_types, event_versions, event_payloads,
                event_metadata)
         AS n (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
    ORDER BY n.aggregate_type, n.aggregate_id, n.sequence;
END
$$;
