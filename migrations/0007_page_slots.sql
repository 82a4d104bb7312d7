-- The least slots that the first page of a day and shard has. What was created before this setting took first pages of 8.
ALTER TABLE order_shards
    ADD COLUMN page_slots integer NOT NULL DEFAULT 8 CHECK (page_slots BETWEEN 8 AND 1267);
ALTER TABLE order_shards ALTER COLUMN page_slots DROP DEFAULT;
