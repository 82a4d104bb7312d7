-- The journals' trees, sparsely: the roots of all complete subtrees of 2^8, 2^16, 2^24 and 2^32 events, one row for every
-- 256 events or nodes below. With these a proof reads a few hundred rows, however long the journal is. Each is written in
-- the transaction of the event that completes it, and never changes; what takes events back takes those above them along.
CREATE TABLE tree_nodes (
    platform bytea    NOT NULL CHECK (length(platform) = 32),
    -- How many levels it stands above the events.
    height   smallint NOT NULL CHECK (height IN (8, 16, 24, 32)),
    -- How many others of its height are left of it: it is over the events from position * 2^height on.
    position bigint   NOT NULL CHECK (position >= 0),
    hash     bytea    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (platform, height, position)
);

-- Of the events from before. Hashes as in RFC 6962; a subtree that lacks an event gets no node.
CREATE FUNCTION subtree_root(nodes bytea[]) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    WHILE cardinality(nodes) > 1 LOOP
        nodes := ARRAY(
            SELECT sha256('\x01'::bytea || nodes[2 * pair - 1] || nodes[2 * pair])
            FROM generate_series(1, cardinality(nodes) / 2) AS pair ORDER BY pair
        );
    END LOOP;
    RETURN nodes[1];
END $$;

INSERT INTO tree_nodes (platform, height, position, hash)
SELECT journals.platform, 8, tile, subtree_root(leaves.hashes)
FROM journals, generate_series(0, (leaf_count >> 8) - 1) AS tile, LATERAL (
    SELECT array_agg(sha256('\x00'::bytea || bytes) ORDER BY journal_index) AS hashes
    FROM events
    WHERE events.platform = journals.platform
        AND journal_index >= tile << 8 AND journal_index < (tile + 1) << 8
    HAVING count(*) = 256
) AS leaves;

DO $$
BEGIN
    FOR above IN 16..32 BY 8 LOOP
        INSERT INTO tree_nodes (platform, height, position, hash)
        SELECT journals.platform, above, tile, subtree_root(nodes.hashes)
        FROM journals, generate_series(0, (leaf_count >> above) - 1) AS tile, LATERAL (
            SELECT array_agg(hash ORDER BY position) AS hashes
            FROM tree_nodes
            WHERE tree_nodes.platform = journals.platform AND height = above - 8
                AND position >= tile << 8 AND position < (tile + 1) << 8
            HAVING count(*) = 256
        ) AS nodes;
    END LOOP;
END $$;

DROP FUNCTION subtree_root;
