-- Make what has failed for good ready again, as if nobody had had it, and wake those that wait.
--
-- queue    of which queue
-- channel  of it
-- ids      which items; null: all
--
-- Returns how many there were.

WITH again AS (
  UPDATE pullahead.items SET state = 'ready', attempts = 0, reason = NULL, ended_at = NULL
  WHERE queue = %(queue)s AND state = 'dead' AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s::bigint[]))
  RETURNING id
)
SELECT count(*), pg_notify(%(channel)s, '') FROM again
