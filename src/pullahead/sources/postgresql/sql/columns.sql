-- Say what a table has.
--
-- name  of the table, as SQL has it: with its schema, quoted where it has to be
--
-- Returns the name of each column, its type, and whether its values are unique by themselves; nothing if there is no
-- such table.

SELECT
  attname::text, format_type(atttypid, atttypmod),
  EXISTS (
    SELECT FROM pg_index
    WHERE indrelid = attrelid AND indisunique AND indpred IS NULL AND indnkeyatts = 1 AND indkey[0] = attnum
  )
FROM pg_attribute
WHERE attrelid = to_regclass(%(name)s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
