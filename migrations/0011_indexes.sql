-- no-transaction
-- Cheaper indexes on what grows with every payment: putting a row's places into them was half of what writing it costs.
--
-- An order is only ever looked up by its whole hash. A hash index keeps four bytes of it, and finding the place of a new row
-- compares nothing. By user, the platform told nothing more: few users have the same key on two platforms, and what
-- is another's is left out when it is read.
--
-- The new ones are there before the old ones go, so that readers always have one; each of the two steps may be repeated.
-- The first keeps only writers waiting, and the writer is who runs it.

BEGIN;
SET LOCAL client_min_messages = warning;
CREATE INDEX IF NOT EXISTS payments_of_order ON payments USING hash (order_hash);
CREATE INDEX IF NOT EXISTS payments_of_user ON payments (user_key, journal_index);
CREATE INDEX IF NOT EXISTS entries_of_user ON entries (user_key, journal_index, position);
COMMIT;

-- Locks the tables for as long as changing a catalog takes.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';
DROP INDEX IF EXISTS payments_by_order, payments_by_user, entries_by_user;
COMMIT;
