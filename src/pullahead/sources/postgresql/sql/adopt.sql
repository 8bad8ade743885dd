-- Make a queue of a table of others: its rows are items, those that are there and those that will come. Nothing of the
-- table is changed but what is asked for: a column that gets the results. The functions have the rights of who runs
-- this, so that whoever may write into the table needs none here.
--
-- In braces, filled in before it is sent:
--   queue     the queue, as a literal
--   table     the table
--   key       its column that says which row it is
--   item      what of a row is the item, as JSON, of `one`
--   unless    which rows have nothing to be done any more, of `one`
--   put, drop   names that are ours, of functions and triggers

CREATE OR REPLACE FUNCTION pullahead.{put}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE one {table} := NEW;
BEGIN
  INSERT INTO pullahead.items (queue, key, item)
  SELECT {queue}, one.{key}::text, {item} WHERE NOT ({unless})
  ON CONFLICT (queue, key) WHERE key IS NOT NULL DO NOTHING;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION pullahead.{drop}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM pullahead.items WHERE queue = {queue} AND key = OLD.{key}::text;
  RETURN NULL;
END $$
