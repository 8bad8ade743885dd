-- List what has failed for good, the latest first.
--
-- queue  of which queue
-- most   how many at most
--
-- Returns id, item, reason, attempts, and when it ended in seconds since 1970.

SELECT id, item::text, coalesce(reason, ''), attempts, extract(epoch FROM ended_at)::float8
FROM pullahead.items WHERE queue = %(queue)s AND state = 'dead'
ORDER BY ended_at DESC, id DESC LIMIT %(most)s
