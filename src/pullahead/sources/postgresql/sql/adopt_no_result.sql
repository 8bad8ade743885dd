-- Let results stay where their items are, although there is a trigger.
--
-- In braces, filled in before it is sent:
--   return  a name that is ours, of the function and its trigger

CREATE OR REPLACE FUNCTION pullahead.{return}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN NULL;
END $$
