-- Responses whose maker was not heard of again.
ALTER TABLE relay_v1.responses
    DROP CONSTRAINT responses_status_check,
    ADD CONSTRAINT responses_status_check
        CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled', 'abandoned'));
