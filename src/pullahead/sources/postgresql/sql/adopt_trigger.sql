-- Make one of the triggers of a queue whose items are rows of a table of others. Nobody else writes into the table of
-- the trigger until this is over: so no row falls between those that are there and those that come.
--
-- In braces, filled in before it is sent:
--   name    of the trigger, and of its function
--   table   of which table
--   after   after what
--   when    of which rows, or nothing: of all

CREATE TRIGGER {name} AFTER {after} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION pullahead.{name}()
