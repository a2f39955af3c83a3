-- Calls that cost nothing have no hold and no settlement; their rows follow from the events in which calls are told of,
-- many in one, and no money can stand in them. Settlements are line 0 of their event, these calls the lines from 1.
ALTER TABLE billing_v1.charges ADD COLUMN line int NOT NULL DEFAULT 0;
ALTER TABLE billing_v1.charges DROP CONSTRAINT charges_pkey, ADD PRIMARY KEY (position, line);
ALTER TABLE billing_v1.charges ADD CONSTRAINT charges_for_nothing
    CHECK (line = 0 OR (line > 0 AND charged_nanos = 0 AND cost_nanos = 0 AND lost_cost_nanos = 0));
-- Pages of a user's list, newest first.
DROP INDEX billing_v1.charges_of_owner;
CREATE INDEX charges_of_owner ON billing_v1.charges (owner, position DESC, line DESC);
