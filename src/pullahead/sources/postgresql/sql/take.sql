-- Hand out items: by priority; among equals first those whose time has come (late, given back, to be retried), then
-- those that nobody has had; among these the oldest.
--
-- queue  whose items
-- me     who takes
-- known  ids of what it has; what is its own and not among them was granted to a connection that was cut
-- most   how many at most
-- lease  seconds until they are due
--
-- Both kinds are looked at, for as many as are wanted, and then the first of all: so for as long as this takes, up to
-- twice as many are locked, and somebody else may find less than there is. `look` says that there is more.
--
-- Returns id, attempts, item; the place of each among them in `place`.

WITH late AS (
  SELECT id, priority, 0 AS kind FROM pullahead.items
  WHERE queue = %(queue)s AND state IN ('out', 'waiting') AND due <= now()
    AND (owner IS DISTINCT FROM %(me)s OR NOT id = ANY(%(known)s::bigint[]))
  ORDER BY priority DESC, id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), fresh AS (
  SELECT id, priority, 1 AS kind FROM pullahead.items
  WHERE queue = %(queue)s AND state = 'ready'
  ORDER BY priority DESC, id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), chosen AS (
  SELECT id, row_number() OVER (ORDER BY priority DESC, kind, id) AS place
  FROM (SELECT * FROM late UNION ALL SELECT * FROM fresh) AS found
  ORDER BY place LIMIT %(most)s
)
UPDATE pullahead.items AS one
SET state = 'out', owner = %(me)s, attempts = attempts + 1, due = now() + make_interval(secs => %(lease)s)
FROM chosen WHERE one.id = chosen.id
RETURNING one.id, one.attempts, one.item::text, chosen.place
