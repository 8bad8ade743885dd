-- Put the rows of a table of others that are there. After `adopt`.
--
-- In braces, as there.
--
-- Rows that are items already are left out before they are tried: ON CONFLICT would wait for whoever is ending one.
--
-- Returns how many were put.

WITH put AS (
  INSERT INTO pullahead.items (queue, key, item)
  SELECT {queue}, one.{key}::text, {item} FROM {table} AS one
  WHERE NOT ({unless})
    AND NOT EXISTS (SELECT FROM pullahead.items AS had WHERE had.queue = {queue} AND had.key = one.{key}::text)
  ORDER BY one.{key}
  ON CONFLICT (queue, key) WHERE key IS NOT NULL DO NOTHING
  RETURNING id
)
SELECT count(*) FROM put
