-- End items that have failed for good, if they are still this one's; those that may be tried again wait for that, each
-- time twice as long, an hour at most.
--
-- me        who says so
-- retries   how many more attempts an item may have after its first
-- delay     seconds before the first of them
-- ids       of the items
-- reasons   why
-- attempts  how many there were since each was taken
-- final     whether it is not tried again, whatever is left

UPDATE pullahead.items AS one
SET
  state = CASE WHEN told.again THEN 'waiting' ELSE 'dead' END,
  owner = NULL,
  due = CASE WHEN told.again THEN now() + make_interval(secs => told.delay) END,
  attempts = told.attempts,
  reason = told.reason,
  ended_at = CASE WHEN told.again THEN NULL ELSE clock_timestamp() END
FROM (
  SELECT
    said.id, said.reason, had.attempts - 1 + said.attempts AS attempts,
    NOT said.final AND had.attempts - 1 + said.attempts <= %(retries)s AS again,
    least(3600, %(delay)s::float8 * 2 ^ least(30, had.attempts - 1)) AS delay
  FROM unnest(%(ids)s::bigint[], %(reasons)s::text[], %(attempts)s::int[], %(final)s::bool[])
       AS said(id, reason, attempts, final)
  JOIN pullahead.items AS had ON had.id = said.id
) AS told
WHERE one.id = told.id AND one.state = 'out' AND one.owner = %(me)s
