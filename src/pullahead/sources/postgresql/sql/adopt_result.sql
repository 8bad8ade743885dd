-- Let a table of others have the results of its rows, in the step that ends their items.
--
-- In braces, as in `adopt`; and
--   return  a name that is ours, of the function and its trigger
--   type    the type of the key
--   column  which one gets the result
--   value   the result, as that column wants it

CREATE OR REPLACE FUNCTION pullahead.{return}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE {table} SET {column} = {value} WHERE {key} = NEW.key::{type};
  RETURN NULL;
END $$
