-- Give back items that were not started, if they are still this one's: that costs them no attempt.
--
-- me      who says so
-- ids     of the items
-- delays  seconds until anybody may have each

UPDATE pullahead.items AS one
SET state = 'waiting', owner = NULL, attempts = one.attempts - 1, due = now() + make_interval(secs => told.delay)
FROM unnest(%(ids)s::bigint[], %(delays)s::float8[]) AS told(id, delay)
WHERE one.id = told.id AND one.state = 'out' AND one.owner = %(me)s
