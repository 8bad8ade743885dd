-- Let a table of others have the results of its rows, in the step that ends their items. After `adopt`.
--
-- In braces, as there; and
--   type    the type of the key
--   column  which one gets the result
--   value   the result, as that column wants it

CREATE OR REPLACE FUNCTION pullahead.{return}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE {table} SET {column} = {value} WHERE {key} = NEW.key::{type};
  RETURN NULL;
END $$;

CREATE TRIGGER {return} AFTER UPDATE OF state ON pullahead.items FOR EACH ROW
WHEN (NEW.queue = {queue} AND NEW.state = 'done' AND NEW.key IS NOT NULL)
EXECUTE FUNCTION pullahead.{return}()
