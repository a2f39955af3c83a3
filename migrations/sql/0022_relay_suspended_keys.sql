-- Keys that providers call void are not used.
ALTER TABLE relay_v1.channels
    -- {name of the key: {code, at}}; a key that was replaced may still stand here.
    ADD COLUMN suspended jsonb NOT NULL DEFAULT '{}';
