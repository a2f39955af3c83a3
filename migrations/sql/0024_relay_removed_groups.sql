-- Groups of users can be removed.
ALTER TABLE relay_v1.groups
    -- Nobody is in it; it is not listed. A group of the same name may be added again.
    ADD COLUMN removed boolean NOT NULL DEFAULT false;
