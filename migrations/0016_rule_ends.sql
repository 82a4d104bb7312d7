-- When rule versions really ended, and with which event they left the book: what a refund gives back to a rule's counters
-- depends on whether its version was still there.

ALTER TABLE rules ADD COLUMN dropped_index bigint;

-- Both are in the events. A number of these is little-endian: so many bytes of it from a place on.
CREATE FUNCTION pg_temp.number_at(bytes bytea, place integer, length integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT bit_or(get_byte(bytes, place + byte)::bigint << (8 * byte)) FROM generate_series(0, length - 1) AS byte
$$;

UPDATE rules SET dropped_index = events.journal_index
FROM events
WHERE events.kind = 'RuleDropped' AND events.platform = rules.platform
  AND rules.rule = pg_temp.number_at(events.bytes, 56, 2) AND rules.version = pg_temp.number_at(events.bytes, 58, 2);

-- A version that was to end before its successor takes effect ends there; it was written to end with the other.
UPDATE rules SET superseded_at = ended.ends_at, ended_at = ended.at
FROM (
    SELECT DISTINCT ON (platform, rule, version) platform, rule, version, ends_at, at
    FROM (
        SELECT platform, at, pg_temp.number_at(bytes, 56, 2) AS rule, pg_temp.number_at(bytes, 58, 2) AS version,
               pg_temp.number_at(bytes, 60, 8) AS ends_at
        FROM events WHERE kind = 'RuleEnded'
    ) AS said
    ORDER BY platform, rule, version, ends_at
) AS ended
WHERE rules.platform = ended.platform AND rules.rule = ended.rule AND rules.version = ended.version
  AND ended.ends_at < rules.superseded_at;
