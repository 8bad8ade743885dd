-- Put items. Whoever waits for them is told when the transaction commits, by a trigger.
--
-- queue     into which queue
-- items     as JSON
-- priority  of all of them
-- delay     seconds until they may be taken; null: they are ready
--
-- Returns their ids.

INSERT INTO pullahead.items (queue, item, priority, state, due)
SELECT
  %(queue)s, text::json, %(priority)s,
  CASE WHEN %(delay)s::float8 IS NULL THEN 'ready' ELSE 'waiting' END, now() + make_interval(secs => %(delay)s::float8)
FROM unnest(%(items)s::text[]) WITH ORDINALITY AS given(text, place) ORDER BY place
RETURNING id
