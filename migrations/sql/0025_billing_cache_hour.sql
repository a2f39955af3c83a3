-- Input that is written to a provider's cache for an hour has a price of its own; calls that were settled before had none.
ALTER TABLE billing_v1.charges ADD COLUMN cache_write_hour_tokens bigint NOT NULL DEFAULT 0;
