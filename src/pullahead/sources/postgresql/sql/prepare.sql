-- Make the place where it is written down which migrations were applied. One process at a time: a second one waits
-- for the lock and then finds everything done. The number is nobody else's, we hope; it is "pullahead" in CRC-32.

SELECT pg_advisory_xact_lock(3823097410);
CREATE SCHEMA IF NOT EXISTS pullahead;
CREATE TABLE IF NOT EXISTS pullahead.migrations (
  version  integer PRIMARY KEY,
  name     text NOT NULL,
  at       timestamptz NOT NULL DEFAULT now()
);
