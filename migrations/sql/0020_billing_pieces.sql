-- What a settled call consumed that is sold by the piece: pictures, searches, characters, sound; of calls before it, nothing.
ALTER TABLE billing_v1.charges ADD COLUMN pieces jsonb NOT NULL DEFAULT '{}';
