-- Say how a queue stands.
--
-- queue  which one
--
-- Returns one row: how many items are ready, out, waiting, done, dead; how many of those that are out or waiting are
-- due; who has any, as a count; for how many seconds the oldest of those that are ready has been there (null: none is).

SELECT
  count(*) FILTER (WHERE state = 'ready'),
  count(*) FILTER (WHERE state = 'out'),
  count(*) FILTER (WHERE state = 'waiting'),
  count(*) FILTER (WHERE state = 'done'),
  count(*) FILTER (WHERE state = 'dead'),
  count(*) FILTER (WHERE due <= now()),
  count(DISTINCT owner),
  extract(epoch FROM now() - min(put_at) FILTER (WHERE state = 'ready'))::float8
FROM pullahead.items WHERE queue = %(queue)s
